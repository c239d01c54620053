"""What can go wrong with single frames and with REST answers, on demand."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web

from tradeflow.simulator.book import Update
from tradeflow.simulator.ladder import Change

Fate = Literal["", "lost", "twice", "held", "released", "cut", "checksum", "crossed"]
"""Of one frame: see `Mishaps.meet`, and `crossed`."""

FRAME_FAULTS: dict[str, tuple[Fate, ...]] = {
    "skip": ("lost",),
    "repeat": ("twice",),
    "reorder": ("held", "released"),
    "truncate": ("cut",),
    "checksum": ("checksum",),
    "cross": ("crossed",),
}
"""Fault -> what becomes of the next book frames of a symbol."""

REST_FAULTS = ("429", "500", "slow", "truncated")
RETRY_AFTER = 2
"""Seconds, as a 429 says."""
SLOW = 3.0
"""Seconds."""

_CHECKSUM = re.compile(rb'("checksum":)(\d+)')


class Fates:
    """What is to become of the next book frames, by canonical symbol."""

    def __init__(self) -> None:
        self._next: defaultdict[str, deque[Fate]] = defaultdict(deque)

    def add(self, symbol: str, fault: str) -> None:
        self._next[symbol] += FRAME_FAULTS[fault]

    def take(self, symbol: str) -> Fate:
        waiting = self._next[symbol]
        return waiting.popleft() if waiting else ""


def crossed(update: Update) -> Update:
    """The same with a bid that the exchange doesn't have, where its third best ask is."""
    asks = update.book.asks
    price = asks.price_at(2)
    return update._replace(bids=[*update.bids, Change(price, 0, asks.lots[price])])


class Mishaps:
    """Of one connection: frames as they are numbered for it, to what really leaves."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def meet(self, frame: bytes, fate: Fate) -> list[bytes]:
        """Nothing, if it is lost or held back; twice; behind the one held back; its first half; a wrong checksum."""
        if fate == "lost":
            return []
        if fate == "twice":
            return [frame, frame]
        if fate == "held":
            self._held.append(frame)
            return []
        if fate == "released":
            held, self._held = self._held, []
            return [frame, *held]
        if fate == "cut":
            return [frame[: len(frame) // 2]]
        if fate == "checksum":
            return [_CHECKSUM.sub(lambda found: found[1] + str(int(found[2]) ^ 1).encode(), frame)]
        return [frame]


async def failing(
    fault: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], request: web.Request
) -> web.StreamResponse:
    """The answer of an exchange whose REST has one of REST_FAULTS."""
    if fault in ("429", "500"):
        pause = {"Retry-After": str(RETRY_AFTER)} if fault == "429" else {}
        return web.Response(status=int(fault), text="a fault on demand", headers=pause)
    if fault == "slow":
        await asyncio.sleep(SLOW)
        return await handler(request)
    answer = await handler(request)
    if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
        return web.Response(body=answer.body[: len(answer.body) // 2], content_type=answer.content_type)
    return answer
