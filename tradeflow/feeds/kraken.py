"""Kraken, WebSocket v2: instruments, trades, and books whose checksum is verified on every message."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Annotated, Any
from zlib import crc32

import msgspec
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols

from tables.book import Book
from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.digits import LONGEST, digits, exact, said
from tradeflow.feeds.instruments import Instruments
from tradeflow.feeds.resubscriptions import Resubscriptions
from tradeflow.feeds.rotation import REFRESH_SECONDS
from tradeflow.feeds.source import FeedError, Sink
from tradeflow.messages import Level, Listing
from tradeflow.settings import Settings

logger = logging.getLogger(__name__)

CHECKSUM_LEVELS = 10


class Frame(msgspec.Struct):
    """A channel's frame (channel, type, data) or the answer to a request (method, success, error, result)."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    method: str = ""
    success: bool = True
    error: str = ""
    symbol: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class Ended(msgspec.Struct):
    """The result of an unsubscription."""

    channel: str
    symbol: str


Decimals = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]


class Pair(msgspec.Struct):
    symbol: str
    price_precision: Decimals
    qty_precision: Decimals
    price_increment: Decimal | None = None
    qty_increment: Decimal | None = None
    cost_min: Decimal | None = None

    @property
    def listing(self) -> Listing:
        base, _, quote = self.symbol.partition("/")
        return Listing(
            kind="spot",
            base=base,
            quote=quote,
            tick=said(self.price_increment),
            lot=said(self.qty_increment),
            min_notional=said(self.cost_min),
        )


class Pairs(msgspec.Struct):
    pairs: list[Pair]


class PriceLevel(msgspec.Struct):
    """JSON numbers, by their digits: no float in between."""

    price: msgspec.Raw
    qty: msgspec.Raw


class BookData(msgspec.Struct):
    symbol: str
    checksum: int
    bids: list[PriceLevel] = []
    asks: list[PriceLevel] = []
    timestamp: str | None = None


class Match(msgspec.Struct):
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    ord_type: str
    trade_id: int
    timestamp: str


_frame = msgspec.json.Decoder(Frame)
_ended = msgspec.json.Decoder(Ended)
_pairs = msgspec.json.Decoder(Pairs)
_books = msgspec.json.Decoder(list[BookData])
_trades = msgspec.json.Decoder(list[Match])


def checksum(bids: list[Level], asks: list[Level]) -> int:
    """CRC32 of the best ten asks and bids, as Kraken defines it: each number's digits without the point and
    without leading zeros.  Levels: best first, written with exactly the instrument's decimals."""
    text = "".join(
        number.replace(".", "").lstrip("0")
        for side in (asks[:CHECKSUM_LEVELS], bids[:CHECKSUM_LEVELS])
        for level in side
        for number in level
    )
    return crc32(text.encode())


class KrakenFeed(Feed):  # type: ignore[misc]
    """cryptofeed knows only Kraken's first WebSocket API.

    The checksum covers ten levels a side; for what lies below, each book is taken anew now and then."""

    id = "KRAKEN_V2"
    websocket_endpoints = [WebsocketEndpoint("wss://ws.kraken.com/v2")]  # noqa: RUF012
    rest_endpoints: list[Any] = []  # noqa: RUF012
    websocket_channels = {L2_BOOK: "book", TRADES: "trade"}  # noqa: RUF012
    refresh_seconds = REFRESH_SECONDS
    depth: int
    checksum_every: int
    """Updates of a book, of which one is verified."""
    sink: Sink
    spawn: Any
    receipt_time: int

    async def subscribe(self, conn: Any) -> None:
        """Instruments first: their decimals are part of the checksum; the rest follows them."""
        self._books: dict[str, Book] = {}
        self._pairs: dict[str, Pair] = {}
        self._unverified: dict[str, int] = {}
        """Updates of a book since the last checksum that was looked at."""

        async def ask(method: str, name: str) -> None:
            await self._ask(conn, method, "book", [name])

        self._anew = Resubscriptions(ask, refresh_seconds=self.refresh_seconds)
        await conn.write(json.dumps({"method": "subscribe", "params": {"channel": "instrument"}}))

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        frame = _frame.decode(msg)
        if frame.channel == "book":
            if frame.type not in ("snapshot", "update"):
                raise FeedError(f"a book frame of type {frame.type!r:.50}")
            for data in _books.decode(frame.data):
                self._on_book(data, is_snapshot=frame.type == "snapshot")
        elif frame.channel == "trade":
            for match in _trades.decode(frame.data):
                self._on_trade(match)
        elif frame.channel == "instrument":
            await self._on_instruments(_pairs.decode(frame.data).pairs, conn)
        elif frame.method and not frame.success:
            raise FeedError(f"kraken refused to {frame.method} {frame.symbol}: {frame.error}")
        elif frame.method == "unsubscribe" and (ended := _ended.decode(frame.result)).channel == "book":
            await self._anew.unsubscribed(ended.symbol)
        for name in await self._anew.turn():
            self._gap(name, "the book that was to be taken anew didn't come")

    async def resync(self, symbol: str) -> None:
        await self._anew.start(self.std_symbol_to_exchange_symbol(symbol))

    async def _on_instruments(self, pairs: list[Pair], conn: Any) -> None:
        wanted = {name for names in self.subscription.values() for name in names}
        is_first = not self._pairs
        for pair in pairs:
            if pair.symbol in wanted and self._pairs.get(pair.symbol) != pair:
                self._pairs[pair.symbol] = pair
                symbol = self.exchange_symbol_to_std_symbol(pair.symbol)
                self.sink.instrument(symbol, pair.listing, receipt_time=self.receipt_time)
        if not is_first:
            return
        for name in sorted(wanted - self._pairs.keys()):
            symbol = self.exchange_symbol_to_std_symbol(name)
            self.sink.unavailable(symbol, f"kraken doesn't list {symbol}")
        if not self._pairs:
            raise FeedError(f"kraken lists none of {', '.join(sorted(wanted))}: correct the partition map")
        for channel in self.subscription:
            await self._ask(conn, "subscribe", channel, sorted(self._pairs))
        self._anew.rotate(sorted(self._pairs))

    async def _ask(self, conn: Any, method: str, channel: str, names: list[str]) -> None:
        params = {"channel": channel, "symbol": names, "snapshot": True}
        if channel == "book":
            params["depth"] = self.depth
        await conn.write(json.dumps({"method": method, "params": params}))

    def _on_book(self, data: BookData, *, is_snapshot: bool) -> None:
        if not self._anew.passes(data.symbol, is_snapshot):
            return
        pair = self._pairs[data.symbol]
        if not is_snapshot and data.symbol not in self._books:  # its book had a gap
            return
        bids, asks = _levels(data.bids, pair), _levels(data.asks, pair)
        if is_snapshot:
            book = self._books[data.symbol] = Book(bids, asks)
        else:
            book = self._books[data.symbol]
            book.update(bids, asks)
            book.cut(self.depth)
        self._unverified[data.symbol] = unverified = self._unverified.get(data.symbol, 0) + 1
        verifies = is_snapshot or unverified >= self.checksum_every
        if verifies:
            self._unverified[data.symbol] = 0
            if (ours := checksum(*book.top(CHECKSUM_LEVELS))) != data.checksum:
                self._gap(data.symbol, f"checksum {ours} where kraken says {data.checksum}")
                return
        self.sink.book(
            self.exchange_symbol_to_std_symbol(data.symbol),
            snapshot=is_snapshot,
            bids=bids,
            asks=asks,
            exchange_time=data.timestamp,
            receipt_time=self.receipt_time,
            checksum=data.checksum if verifies else None,
            depth=self.depth,
        )

    def _gap(self, name: str, reason: str) -> None:
        self._books.pop(name, None)
        self.sink.gap(self.exchange_symbol_to_std_symbol(name), reason)

    def _on_trade(self, match: Match) -> None:
        self.sink.trade(
            self.exchange_symbol_to_std_symbol(match.symbol),
            side=match.side,
            price=exact(match.price),
            size=exact(match.qty),
            trade_id=str(match.trade_id),
            order_type=match.ord_type,
            exchange_time=match.timestamp,
            receipt_time=self.receipt_time,
        )


def _levels(levels: list[PriceLevel], pair: Pair) -> list[Level]:
    return [
        (_filled(level.price, pair.price_precision), _filled(level.qty, pair.qty_precision))
        for level in levels
    ]


def _filled(number: msgspec.Raw, decimals: int) -> str:
    """As sent, filled up with zeros where a JSON writer has dropped them."""
    text = digits(number)
    whole, _, fraction = text.partition(".")
    return text if len(fraction) >= decimals else f"{whole}.{fraction.ljust(decimals, '0')}"


class KrakenSource(CryptofeedSource):
    quiet_seconds = 5.0
    """Kraken sends a heartbeat every second in which it sends nothing else."""

    def __init__(self, symbols: list[str], *, depth: int, checksum_every: int, ws: str | None) -> None:
        super().__init__("kraken", symbols, KrakenFeed, ws=ws)
        self.depth = depth
        self.feed_class.depth = depth
        self.feed_class.checksum_every = checksum_every

    async def _load_instruments(self) -> Instruments:
        """Names follow from ours; whether Kraken lists them, and its terms, its instrument channel tells."""
        symbols = {symbol: symbol.replace("-", "/") for symbol in self.symbols}
        Symbols.set(self.feed_class.id, symbols, {})
        return Instruments(symbols, {}, {}, 0, 0.0)


def kraken(symbols: list[str], settings: Settings) -> KrakenSource:
    return KrakenSource(
        symbols,
        depth=settings.kraken_depth,
        checksum_every=settings.kraken_checksum_every,
        ws=settings.endpoint("kraken", "ws"),
    )
