"""`Fuzzer`: spoiled frames through an exchange's real feed, Publisher, normalize and Market, one after the other.

Each is compared with a plain reading of the same frame: what is published must be what the frame says, whole,
or the connection must end with a reason and its books with it.  A new connection's snapshots must make every
book right again."""

from __future__ import annotations

import atexit
import contextlib
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import aiohttp
import msgspec
from cryptofeed.symbols import Symbols

from tests.fuzz.exchanges import START, Exchange
from tests.fuzz.mutations import MUTATIONS, Frame
from tests.fuzz.readings import BinanceReader, Change, KrakenReader, Reading
from tradeflow.feeds import binance, cryptofeed_source
from tradeflow.feeds.instruments import Instruments
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.snapshot_budget import SnapshotBudget
from tradeflow.feeds.source import FeedError
from tradeflow.feeds.supervisor import describe
from tradeflow.market import Market
from tradeflow.messages import Delta, Raw, RawBook, Snapshot
from tradeflow.normalize import NormalizeError, normalize
from tradeflow.settings import Settings

SLOW = 5.0
"""Seconds of processor time that one frame may take, the five megabytes included."""
REASONS = (FeedError, OSError, TimeoutError, aiohttp.ClientError)
"""What a source may end with: exceptions that say why."""
_CANONICAL = re.compile(r"(0|[1-9][0-9]{0,63})(\.[0-9]{0,63}[1-9])?").fullmatch
_decoder = msgspec.json.Decoder(Raw)


class Violation(AssertionError):
    """A frame did what no frame may do."""


class Fuzzer:
    """`counts`: (mutation, effect) -> frames; deterministic by seed."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self.exchange = exchange
        self.counts: Counter[tuple[str, str]] = Counter()
        self.connections = 0
        self.slowest = 0.0
        self._draw = random.Random(seed)
        self._now = START
        symbols = list(exchange.tape.names.values())
        self._live: Any = make_source(exchange.name, symbols, Settings(kraken_depth=10))
        # What cryptofeed makes of the exchange's instruments.
        names = {ours: name for name, ours in exchange.tape.names.items()}
        self._instruments = Instruments(names, {}, {}, 0, 0.0)
        Symbols.set(self._live.feed_class.id, names, {})
        self._publisher = Publisher(
            exchange.name,
            dict.fromkeys(symbols, 0),
            self._send,
            clock=lambda: self._now,
            steady=lambda: self._now,
        )
        self._sent: list[bytes] = []
        self._market = Market(0, [(exchange.name, symbol) for symbol in symbols])
        self._offset = 0
        self._rests: list[Reading] = []
        self._spoil_rest = ""
        self._trail: list[Frame] = []

    async def run(self, mutations: list[str]) -> None:
        """One spoiled frame of each, in order.  Raises Violation with the frames that led to it."""
        waiting = mutations[::-1]
        with _quiet():
            while waiting:
                try:
                    await self._connection(waiting)
                except Violation as violation:
                    shown = "\n".join(f"  {len(frame):,}: {frame[:3_000]!r}" for frame in self._trail[-3:])
                    raise Violation(f"{self.exchange.name}: {violation}; the last frames:\n{shown}") from None

    # --- one connection ---

    async def _connection(self, waiting: list[str]) -> None:
        self.connections += 1
        if not self.exchange.is_sound():
            self.exchange.rewind()
        self._reader = self.exchange.reader()
        self._number = 0
        self._publisher.begin(self.connections)
        feed = self._live._make_feed(self._publisher, self._instruments)
        await self._live._close(feed)
        feed.http_conn = self
        ((conn, subscribe, handler, _),) = feed.connect()
        atexit.unregister(conn.__del__)
        feed.spawn = lambda work: work.close()
        self._feed, self._handler = feed, handler
        self.subscription = conn.subscription
        spoils_rest = self.exchange.name == "binance" and self._draw.random() < 0.2
        if spoils_rest:
            self._spoil_rest = waiting.pop()
        if await self._subscribe(subscribe):
            return
        for frame in self.exchange.opening():
            if ended := await self._deliver(frame):
                raise Violation(f"a valid opening was refused: {ended}")
        if not spoils_rest:  # one that was applied may well be another book
            self._check_healed()
        for _ in range(200):
            original = self.exchange.next()
            if original is None:
                self.exchange.rewind()
                break
            frame: Frame = self._numbered(original)
            spoiled = ""
            if waiting and self._draw.random() < 0.7:
                frame, spoiled = self._spoil(frame, waiting[-1])
                if spoiled:
                    waiting.pop()
            ended = await self._deliver(frame, spoiled)
            if ended:
                return
            if not waiting or not self.exchange.is_sound():
                break
        self._end("the tape ends here")

    async def _subscribe(self, subscribe: Any) -> str:
        self._tick()
        self._rests.clear()
        mutation = self._spoil_rest
        try:
            await subscribe(self)
        except BaseExceptionGroup as group:
            self._check_types(group)
            reason = describe(group)
        else:
            reason = self._failure()
        if reason and all(rest.kind == "book" for rest in self._rests) and not mutation:
            raise Violation(f"a valid snapshot was refused: {reason}")
        self._compare(Reading("other", []), reason)
        if mutation:
            self.counts[mutation, "ended" if reason else "applied"] += 1
        if reason:
            self._end(reason)
        return reason

    async def _deliver(self, frame: Frame, mutation: str = "") -> str:
        """Why the connection ended; empty if it goes on."""
        self._tick()
        self._trail = [*self._trail[-4:], frame]
        self._rests.clear()
        reading = self._reader.read(frame)
        started = time.thread_time()
        try:
            await self._live._handle(self._feed, self._handler, frame, self)
            reason = self._failure()
        except Exception as error:
            self._check_types(error)
            reason = describe(error)
        seconds = time.thread_time() - started
        self.slowest = max(self.slowest, seconds)
        if seconds > SLOW:
            raise Violation(f"took {seconds:.1f} s")
        effect = self._compare(reading, reason)
        if mutation:
            self.counts[mutation, effect] += 1
        if reason:
            self._end(reason)
        return reason

    def _failure(self) -> str:
        """Why the supervisor would restart the connection, or take a book anew."""
        gaps = self._publisher.gaps.items()
        return self._publisher.failure or "; ".join(f"{symbol}: {gap.reason}" for symbol, gap in gaps)

    def _check_types(self, error: BaseException) -> None:
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        for one in inner:
            if isinstance(one, BaseExceptionGroup):
                self._check_types(one)
            elif not isinstance(one, REASONS):
                raise Violation(f"the source leaks {one!r}") from one

    def _end(self, reason: str) -> None:
        for symbol in self._publisher.gaps:
            if self._market.books[self.exchange.name, symbol].live:
                raise Violation(f"{symbol} is live with a gap: {reason}")
        if not 0 < len(reason) < 1_000:
            raise Violation(f"the reason isn't clear: {reason!r}")
        self._publisher.down(reason)
        self._apply()
        if live := [place for place, book in self._market.books.items() if book.live]:
            raise Violation(f"{live} live after {reason}")

    # --- what was published ---

    def _send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self._sent.append(value)

    def _apply(self) -> tuple[list[Change], int]:
        """Into the market: (changes of books, records that are dead letters)."""
        changes, dead = [], 0
        sent, self._sent[:] = list(self._sent), []
        for value in sent:
            try:
                raw = _decoder.decode(value)
                event = normalize(raw)
            except (NormalizeError, msgspec.DecodeError) as error:
                if b'"type":"book"' in value[:20] or not value.startswith(b'{"type":"trade"'):
                    raise Violation(f"a book's record is a dead letter: {error}") from None
                dead += 1
                continue
            if isinstance(event, Snapshot | Delta):
                for price, size in (*event.bids, *event.asks):
                    if not _CANONICAL(price) or not _CANONICAL(size) or price == "0":
                        raise Violation(f"a malformed level in the log: {price!r:.99} {size!r:.99}")
                changes.append(
                    Change(event.symbol, isinstance(event, Snapshot), dict(event.bids), dict(event.asks))
                )
            else:
                assert not isinstance(raw, RawBook)
            self._market.apply(event, self._offset)
            self._offset += 1
        self._market.take_outputs()
        self._market.take_resyncs()
        return changes, dead

    def _compare(self, reading: Reading, reason: str) -> str:
        """The effect; Violation if what was published isn't what was to be read."""
        published, dead = self._apply()
        wanted = [change for rest in self._rests for change in rest.changes]
        expected = [*wanted, *reading.changes]
        left = list(expected)
        for change in published:
            if self._rests and reason and len(left) > 1 and left[0][:4] != change[:4]:
                left.pop(0)  # the one that ends the connection, while others are on their way
            if not left or left[0][:4] != change[:4]:
                raise Violation(f"published {change} where {left} was to be read")
            self._reader.accept(left.pop(0))
        if not reason:
            if reading.kind == "unusable":
                raise Violation(f"an unusable frame had no consequence; published {published}")
            if any(rest.kind == "unusable" for rest in self._rests):
                raise Violation("an unusable snapshot had no consequence")
            if len(published) < len(expected):
                raise Violation(f"published only {published} of {expected}")
        self._check_books()
        if reason:
            return "ended"
        return "applied" if published else "trade is a dead letter" if dead else "no book's"

    def _check_books(self) -> None:
        for (_, symbol), book in self._market.books.items():
            if book.live and (book.book.bids.sizes, book.book.asks.sizes) != self._reader.books.get(symbol):
                raise Violation(f"{symbol} is live and isn't what was read")

    def _check_healed(self) -> None:
        world = self.exchange.world.books
        for (_, symbol), book in self._market.books.items():
            if not book.live:
                raise Violation(f"{symbol} is {book.state} after a valid snapshot: {book.reason}")
            if (book.book.bids.sizes, book.book.asks.sizes) != world[symbol]:
                raise Violation(f"{symbol} isn't the exchange's book after a valid snapshot")

    # --- frames ---

    def _tick(self) -> None:
        self._now += 1_000_000
        self._feed.receipt_time = self._now

    def _numbered(self, frame: str) -> str:
        if self.exchange.name != "coinbase":
            return frame
        number = (self._reader.sequence or 0) + 1  # type: ignore[attr-defined]
        return re.sub(r'"sequence_num":[0-9]+', f'"sequence_num":{number}', frame, count=1)

    def _spoil(self, frame: str, mutation: str) -> tuple[Frame, str]:
        """The frame and what was done to it; nothing where that made no difference."""
        spoiled = MUTATIONS[mutation](self._draw, frame)
        if isinstance(spoiled, str):
            if self._draw.random() < 0.15:
                second = self._draw.choice([name for name in MUTATIONS if name != "5 MB"])
                with contextlib.suppress(ValueError, IndexError, RecursionError):
                    spoiled = MUTATIONS[second](self._draw, spoiled)
            if (
                isinstance(self._reader, KrakenReader)
                and self._draw.random() < 0.7
                and isinstance(spoiled, str)
            ):
                spoiled = self._reader.seal(spoiled)
        return spoiled, mutation if spoiled != frame else ""

    # --- what the feed takes for its connections ---

    uuid = id = "fuzzer"

    async def write(self, *_: Any) -> None:
        pass

    async def read(self, url: str, **_: Any) -> Frame:
        match = re.search(r"symbol=([A-Z]+)", url)
        assert match is not None and isinstance(self._reader, BinanceReader)
        body: Frame = self.exchange.rest(match[1])
        if self._spoil_rest:
            body = MUTATIONS[self._spoil_rest](self._draw, body)  # type: ignore[arg-type]
            self._spoil_rest = ""
        self._trail = [*self._trail[-4:], body]
        self._rests.append(self._reader.rest(match[1], body))
        return body


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without log lines, and with all the snapshots one wants."""
    logging.disable(logging.CRITICAL)
    plenty = SnapshotBudget(burst=10**9)
    try:
        # A session for each of some ten thousand connections would be a quarter of the work.
        session = mock.patch.object(cryptofeed_source.aiohttp, "ClientSession", mock.AsyncMock)
        with mock.patch.object(binance, "budget", plenty), session:
            yield
    finally:
        logging.disable(logging.NOTSET)
