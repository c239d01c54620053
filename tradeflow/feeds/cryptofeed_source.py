"""`CryptofeedSource`: cryptofeed's parsers over connections that end instead of reconnecting by themselves.

Of cryptofeed we use the `Feed` classes: symbol tables, addresses, subscriptions and parsing.  Its FeedHandler
and ConnectionHandler stay out: they reconnect inside, so that nobody could claim an epoch before the first
record of a new subscription, and they tell nobody that the old one ended."""

from __future__ import annotations

import asyncio
import atexit
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import aiohttp
from cryptofeed.connection import AsyncConnection
from cryptofeed.defines import ASK, BID, L2_BOOK, TRADES
from cryptofeed.feed import Feed
from cryptofeed.types import OrderBook, Trade

from tradeflow.feeds.digits import exact
from tradeflow.feeds.endpoints import REST_TIMEOUT, adapt, is_loopback, well_formed
from tradeflow.feeds.instruments import Instruments, load_instruments
from tradeflow.feeds.receipt_clock import ReceiptClock
from tradeflow.feeds.source import FeedError, Sink, Source
from tradeflow.messages import Level

logger = logging.getLogger(__name__)

PING_INTERVAL = 1.0
"""Seconds; the answers show that the connection stands.  They say nothing of its data."""
PONG_TIMEOUT = 5.0


@runtime_checkable
class SymbolResync(Protocol):
    """A Feed that can take one book anew; its `spawn(work)` runs a coroutine beside the connection."""

    spawn: Callable[[Coroutine[Any, Any, None]], None]

    async def resync(self, symbol: str) -> None:
        """Begin to; `symbol` is canonical."""


class CryptofeedSource(Source):
    """Live market data through one `Feed` class; a new Feed object for every connection, so that nothing of
    an old subscription survives in it."""

    depth: int | None = None
    """Where the exchange cuts the book silently."""
    quiet_seconds: float = 15.0
    """A connection without any frame for so long has lost its subscriptions, even if it answers pings; books that
    say live are stale earlier, after TRADEFLOW_SILENCE_TIMEOUT."""

    def __init__(
        self,
        exchange: str,
        symbols: list[str],
        feed_class: type[Feed],
        *,
        rest: str | None = None,
        ws: str | None = None,
    ) -> None:
        """rest, ws: endpoints instead of the exchange's public ones; `http://` and `ws://` are allowed."""
        self.exchange = exchange
        self.symbols = symbols
        self.feed_class = adapt(feed_class, rest, ws)
        self._in_doubt = False
        self._last_frame = 0.0
        self._feed: Feed | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, sink: Sink) -> None:
        feed = self._make_feed(sink, await self._load_instruments())
        try:
            async with asyncio.TaskGroup() as group:
                ends = [group.create_task(self._connection(feed, *parts)) for parts in feed.connect()]
                self._feed, feed.spawn = feed, lambda work: self._spawn(group, work)
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                self._feed = None
                for task in (*ends, *self._tasks):
                    task.cancel()
        finally:
            self._feed = None
            await self._close(feed)

    def resync(self, symbol: str) -> bool:
        """True where the class below has a `resync` of its own; if that raises, the connection ends."""
        feed = self._feed
        if feed is None or not isinstance(feed, SymbolResync):
            return False
        feed.spawn(self._take_anew(feed, symbol) if self._in_doubt else feed.resync(symbol))
        return True

    def doubt_instruments(self) -> None:
        self._in_doubt = True

    async def _take_anew(self, feed: Feed, symbol: str) -> None:
        """A book whose instrument may have changed."""
        self._tell(feed.sink, [symbol], await self._load_instruments())
        await feed.resync(symbol)

    def _spawn(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        """Run beside the connection, which ends if `work` raises, and ends it."""
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_instruments(self) -> Instruments:
        in_doubt, self._in_doubt = self._in_doubt, False
        return await load_instruments(self.feed_class, in_doubt=in_doubt)

    def _make_feed(self, sink: Sink, instruments: Instruments) -> Feed:
        known = instruments.symbols
        for symbol in self.symbols:
            if symbol not in known:
                sink.unavailable(symbol, f"{self.exchange} doesn't list {symbol}")
        symbols = [symbol for symbol in self.symbols if symbol in known]
        self._tell(sink, symbols, instruments)
        if not symbols:
            raise FeedError(
                f"{self.exchange} lists none of {', '.join(self.symbols)}: correct the partition map"
            )

        async def on_book(book: OrderBook, _: float) -> None:
            self._on_book(feed, book)

        async def on_trade(trade: Trade, _: float) -> None:
            self._on_trade(feed, trade)

        feed = self.feed_class(
            symbols=symbols,
            channels=[L2_BOOK, TRADES],
            callbacks={L2_BOOK: on_book, TRADES: on_trade},
            max_depth=0,
            config={"log": {"disabled": True}},
        )
        feed.sink = sink
        feed.receipt_time = 0
        feed.http_conn.conn = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REST_TIMEOUT),
            trust_env=not any(is_loopback(endpoint.address) for endpoint in self.feed_class.rest_endpoints),
        )
        return feed

    def _tell(self, sink: Sink, symbols: list[str], instruments: Instruments) -> None:
        """What the exchange says of these, where its class can read it."""
        for symbol in symbols:
            if listing := instruments.listings.get(instruments.symbols.get(symbol, "")):
                sink.instrument(symbol, listing, receipt_time=instruments.time)

    async def _close(self, feed: Feed) -> None:
        await feed.http_conn.close()
        # cryptofeed registers every connection there, which would keep each one's books for ever.
        atexit.unregister(feed.http_conn.__del__)

    async def _connection(
        self, feed: Feed, conn: AsyncConnection, subscribe: Any, handler: Any, authenticate: Any
    ) -> None:
        try:
            async with conn.connect() as connection, asyncio.TaskGroup() as group:
                self._last_frame = time.monotonic()
                receipts = ReceiptClock()
                beside = [
                    group.create_task(receipts.keep_looking()),
                    group.create_task(self._watch(connection.conn)),
                ]
                await authenticate(connection)
                await subscribe(connection)
                async for message in connection.read():
                    feed.receipt_time = receipts.now()
                    self._last_frame = time.monotonic()
                    feed.sink.alive(feed.receipt_time)
                    await self._handle(feed, handler, message, connection)
                for task in beside:
                    task.cancel()
        finally:
            atexit.unregister(conn.__del__)

    async def _handle(self, feed: Feed, handler: Any, message: Any, connection: AsyncConnection) -> None:
        try:
            well_formed(message)
            if isinstance(message, bytes):  # msgspec checks only what it reads
                message = message.decode()
            await handler(message, connection, feed.receipt_time / 1e9)
        except (FeedError, OSError, TimeoutError, aiohttp.ClientError):
            raise
        except Exception as error:
            logger.exception("%s: a frame that the parser can't use: %.500r", self.exchange, message)
            raise FeedError(f"unusable frame ({error!r:.200}): {message!r:.200}") from error

    async def _watch(self, websocket: Any) -> None:
        """Raises FeedError when the other end no longer answers, or has stopped to send data."""
        while True:
            await asyncio.sleep(PING_INTERVAL)
            pong = await websocket.ping()
            try:
                async with asyncio.timeout(PONG_TIMEOUT):
                    await pong
            except TimeoutError:
                raise FeedError(f"no answer to a ping for {PONG_TIMEOUT:.0f} s") from None
            silence = time.monotonic() - self._last_frame
            if silence > self.quiet_seconds:
                raise FeedError(f"no data for {silence:.0f} s, though the connection answers")

    def _on_book(self, feed: Feed, book: OrderBook) -> None:
        delta = book.delta
        feed.sink.book(
            book.symbol,
            snapshot=delta is None,
            bids=levels(book.book.bids.to_list() if delta is None else delta[BID]),
            asks=levels(book.book.asks.to_list() if delta is None else delta[ASK]),
            exchange_time=as_sent(book.timestamp),
            receipt_time=feed.receipt_time,
            exchange_sequence=book.sequence_number,
            depth=self.depth,
        )

    def _on_trade(self, feed: Feed, trade: Trade) -> None:
        feed.sink.trade(
            trade.symbol,
            side=trade.side,
            price=exact(trade.price),
            size=exact(trade.amount),
            trade_id=trade.id,
            order_type=trade.type,
            exchange_time=self._trade_time(trade),
            receipt_time=feed.receipt_time,
        )

    def _trade_time(self, trade: Trade) -> float | str | None:
        return as_sent(trade.timestamp)


def levels(pairs: list[tuple[Any, Any]]) -> list[Level]:
    return [(exact(price), exact(size)) for price, size in pairs]


def as_sent(moment: datetime | float | str | None) -> float | str | None:
    """An exchange's time; cryptofeed's JSON parser made datetimes of ISO 8601 strings, which this undoes."""
    return moment.isoformat() if isinstance(moment, datetime) else moment
