"""`Stream`: what readers of `/stream` get: composed once a tick, whoever reads it, and never waited for.

A reader that is behind is passed over, and later gets the latest of all that it has missed: so what a frozen one
costs is its socket's buffer, until it is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from aiohttp import web

from tradeflow.web.board import Board

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a reader may take to read what waits for it."""
BEAT = 1.0
"""Seconds after which something is sent even if there is no news: so that its absence says something."""
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel may keep for a reader; what waits there is no longer the latest."""

Rows = Iterable[tuple[Hashable, Any]]


class Full(RuntimeError):
    """There are as many readers as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} read already: TRADEFLOW_STREAM_CLIENTS allows no more")


class Part(NamedTuple):
    """One kind of event: `rows(symbol)` gives (key, value) pairs, at each tick but not within `interval` seconds.

    `size`: how many keys are kept.  `of_symbol`: it is about one symbol, for those who have asked for that one."""

    name: str
    rows: Callable[[str], Awaitable[Rows]]
    interval: float = 0.0
    size: int = 1000
    of_symbol: bool = False


class _Source:
    """A part (of one symbol): its board, and the task that asks for its rows."""

    def __init__(self, part: Part, symbol: str) -> None:
        self.part, self.symbol = part, symbol
        self.board = Board(part.size)
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None
        self._rows: Rows = ()
        self._failing = False

    def advance(self, tick: int, now: float) -> None:
        """Ask for its rows, if that is due and the last answer has come; note those that have come."""
        if now >= self._due and (self._task is None or self._task.done()):
            self._due = now + self.part.interval
            self._task = asyncio.Task(self._ask(), eager_start=True, loop=asyncio.get_running_loop())
        for key, value in self._rows:
            self.board.put(key, value, tick)
        self._rows = ()

    async def _ask(self) -> None:
        try:
            self._rows = await self.part.rows(self.symbol)
            self._failing = False
        except Exception:
            if not self._failing:  # once, not at each tick
                log.exception("/stream has no %s", self.part.name)
            self._failing = True


class Stream:
    """`parts`: what is sent; `interval`: seconds between two ticks; `limit`: readers at the same time."""

    def __init__(self, parts: Iterable[Part], *, interval: float, limit: int) -> None:
        self.dropped = 0
        """Readers that were too slow."""
        self.refused = 0
        """Readers beyond the limit."""
        self._parts = tuple(parts)
        self._interval = interval
        self._limit = limit
        self._tick = 0
        self._readers: dict[object, str] = {}
        self._sources: dict[tuple[str, str], _Source] = {}
        self._frames: dict[tuple[str, int], bytes] = {}
        self._ticked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def clients(self) -> int:
        return len(self._readers)

    def end(self) -> None:
        """Send every reader away: the worker ends."""
        self._ended = True
        self._ticked.set()

    async def serve(self, request: web.Request, response: web.StreamResponse, symbol: str) -> None:
        """Send until the reader goes, is too slow, or the worker ends.  `symbol` "": nothing of a symbol alone.

        Raises Full before anything is sent."""
        transport = request.transport
        if len(self._readers) >= self._limit:
            self.refused += 1
            raise Full(self._limit)
        if transport is None:
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        with self._seat(symbol), suppress(ConnectionError):
            await response.prepare(request)
            try:
                await self._send(response, transport, symbol)
            except TimeoutError:
                self.dropped += 1
                transport.abort()

    async def _send(self, response: web.StreamResponse, transport: asyncio.Transport, symbol: str) -> None:
        """Raises TimeoutError if the reader hasn't read what waits for it within PATIENCE."""
        seen, sent = -1, 0.0
        while not (self._ended or transport.is_closing()):
            now = time.monotonic()
            if not transport.get_write_buffer_size():
                frame = self._frame(symbol, seen) or (_beat() if now - sent >= BEAT else b"")
                seen = self._tick  # before the write, which may wait
                if frame:
                    async with asyncio.timeout(PATIENCE):
                        await response.write(frame)
                    sent = now
            elif now - sent > PATIENCE:
                raise TimeoutError
            await self._ticked.wait()

    @contextmanager
    def _seat(self, symbol: str) -> Iterator[None]:
        reader = object()
        self._readers[reader] = symbol
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="stream")
        try:
            yield
        finally:
            del self._readers[reader]

    async def _run(self) -> None:
        """Ticks while anybody reads."""
        while self._readers and not self._ended:
            self._advance(time.monotonic())
            ticked, self._ticked = self._ticked, asyncio.Event()
            ticked.set()
            await asyncio.sleep(self._interval)
        self._sources = {}  # the next reader must not take them for new

    def _advance(self, now: float) -> None:
        self._tick += 1
        self._frames.clear()
        self._sources = {
            (part.name, symbol): self._sources.get((part.name, symbol)) or _Source(part, symbol)
            for symbol in dict.fromkeys(["", *self._readers.values()])
            for part in self._parts
            if part.of_symbol == bool(symbol)
        }
        for source in self._sources.values():
            source.advance(self._tick, now)

    def _frame(self, symbol: str, seen: int) -> bytes:
        """The news after tick `seen`, the same bytes for all who saw it last; empty: none."""
        frame = self._frames.get((symbol, seen))
        if frame is None:
            events = [
                _event(name, b"[" + b",".join(news) + b"]")
                for (name, of), source in self._sources.items()
                if of in ("", symbol) and (news := source.board.since(seen))
            ]
            frame = b"".join([*events, _beat()]) if events else b""
            self._frames[symbol, seen] = frame
        return frame


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _beat() -> bytes:
    return _event("beat", b"%d" % (time.time_ns() // 1_000_000))
