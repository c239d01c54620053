"""The whole curve: raw → order from a few records a second to more than a worker can take, and what happens then.

Each rate is open loop, an order for every delta (bench/latency.py).  The curve ends with the first rate that the
worker doesn't keep up with.  Then another worker, whose books go stale after 5 s as they do by default, gets a
multiple of that for a while: its lag must grow, its memory must not, no delta may be lost, and no book may be called
live that is older than that.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.goals import Goal, Section
from bench.latency import BOOKS, TRADEFLOW, Latency, Running, milliseconds, punctual, running
from bench.load import EXCHANGE, symbols
from bench.options import Options
from bench.report import table

RATES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 40_000)
KEPT_UP = 0.9
"""Of the rate; a worker with less achieved is saturated."""
BEYOND = 3
"""The overload, in multiples of what was achieved at most."""
SILENCE = 5.0
"""Seconds after which a book is stale: the default."""
SLACK = 1.5
"""Seconds more, for the look itself: it waits in line behind the records."""
MEMORY = 1.25
"""Resident bytes at the end of the overload, in multiples of those when books were first stale."""

_LOOK = 0.5  # seconds between two looks
_WORKED_OFF = 120.0


@dataclass
class Overload:
    rate: int
    sent: int = 0
    lost: int = 0
    looks: int = 0
    """At single books, while their newest record waited."""
    stale: int = 0
    """Looks at which the book said that it was not live."""
    wrong: int = 0
    """Looks at which a book older than SILENCE + SLACK said live."""
    lag: float = 0.0
    """Seconds by which the oldest book was behind, at most."""
    seconds: float = 0.0
    """Until all was worked off, after the last was sent."""
    resident: list[int] = field(default_factory=list)
    """Bytes, by look."""


async def curve(seconds: float) -> list[Latency]:
    found: list[Latency] = []
    async with running(TRADEFLOW) as (trial, _, _):
        for rate in RATES:
            one = await trial.rate("tradeflow", rate, seconds, _WORKED_OFF)
            found.append(one)
            print(f"{rate}/s: {one.achieved:,.0f}/s achieved, p50 {one.p50:.1f} ms", flush=True)
            if one.achieved < KEPT_UP * rate:
                break
    return found


async def overload(rate: int, seconds: float) -> Overload:
    found = Overload(rate)
    async with running(TRADEFLOW, SILENCE) as here, aiohttp.ClientSession() as web:
        looking = asyncio.create_task(_look_on(here, web, found))
        here.trial.due.clear()
        await here.trial.send(rate, seconds)
        ended, last = time.monotonic(), _last(here)
        found.sent = len(here.trial.due)
        async with asyncio.timeout(_WORKED_OFF):
            while await _sequences(here, web) != last:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK)
        found.seconds = time.monotonic() - ended
        if looking.done():
            looking.result()  # raises what ended it
        looking.cancel()
        async with web.get(f"{here.url}/stats") as answer:
            counts = (await answer.json())["markets"].values()
        found.lost = found.sent - sum(sum(one["deltas"].values()) for one in counts)
    return found


def _last(here: Running) -> dict[str, int]:
    """By symbol: the newest sequence that was sent."""
    return dict(here.trial.due.keys())  # in the order of sending


async def _sequences(here: Running, web: aiohttp.ClientSession) -> dict[str, int]:
    return {symbol: (await _book(here, web, symbol))["sequence"] for symbol in symbols(BOOKS)}


async def _book(here: Running, web: aiohttp.ClientSession, symbol: str) -> Any:
    async with web.get(f"{here.url}/books/{EXCHANGE}/{symbol}?depth=1") as answer:
        answer.raise_for_status()
        return await answer.json()


async def _look_on(here: Running, web: aiohttp.ClientSession, found: Overload) -> None:
    due = here.trial.due
    while True:
        for symbol in symbols(BOOKS):
            now = time.time_ns()
            book = await _book(here, web, symbol)
            next_due = due.get((symbol, book["sequence"] + 1))
            if next_due is None:
                continue  # it has all that was sent
            behind = (now - next_due) / 1e9
            found.lag = max(found.lag, behind)
            found.looks += 1
            found.stale += book["state"] != "live"
            found.wrong += book["state"] == "live" and behind > SILENCE + SLACK
        found.resident.append(here.run.usage().resident)
        await asyncio.sleep(_LOOK)


def run(options: Options) -> Section:
    found = punctual(curve(options.seconds / 2))
    best = max(one.achieved for one in found)
    beyond = punctual(overload(int(BEYOND * best), max(12.0, options.seconds)))
    rows = []
    for one in found:
        times = [f"{milliseconds(one.waits, share):.2f}" for share in (50, 99, 99.9, 100)]
        rows.append([f"{one.rate:,}", f"{one.achieved:,.0f}", *times, f"{milliseconds(one.late, 99):.2f}"])
    middle = beyond.resident[len(beyond.resident) // 3]
    grown = max(beyond.resident[len(beyond.resident) // 3 :]) / middle
    goals = [
        Goal("raw → order, most that one worker keeps up with", best, unit="orders/s"),
        Goal(f"{BEYOND} times that: deltas lost", beyond.lost, "≤", 0, "deltas"),
        Goal(
            f"{BEYOND} times that: old books that said live", beyond.wrong, "≤", 0, f"of {beyond.looks} looks"
        ),
        Goal(f"{BEYOND} times that: memory at the end to the first third", grown, "≤", MEMORY),
    ]
    header = ["records/s", "orders/s", "p50 ms", "p99", "p99.9", "max", "sender late, p99"]
    values = vars(beyond) | {"resident": beyond.resident[-1] / 2**20, "grown": grown, "beyond": BEYOND}
    return Section(values | {"table": table(header, rows), "silence": SILENCE, "slack": SLACK}, goals)
