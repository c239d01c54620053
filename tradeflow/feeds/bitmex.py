"""BitMEX: cryptofeed's parser, with books that start afresh at every partial."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any, Literal

import msgspec
from cryptofeed.defines import ASK, BID
from cryptofeed.exchanges import Bitmex
from cryptofeed.types import OrderBook, Trade

from tradeflow.feeds.cryptofeed_source import CryptofeedSource, as_sent
from tradeflow.feeds.digits import said
from tradeflow.feeds.resubscriptions import Resubscriptions
from tradeflow.feeds.rotation import REFRESH_SECONDS
from tradeflow.feeds.source import FeedError, Sink
from tradeflow.messages import Listing
from tradeflow.settings import Settings

DATA = '{"table"'
"""How a frame of data begins: only the others are worth a second look."""


SPOT = "IFXXXP"
CURRENCIES = {"XBt": ("BTC", 10**8), "USDt": ("USDT", 10**6)}
"""What BitMEX settles in: the currency, and how many of its units make one."""

Kind = Literal["spot", "linear", "inverse", "quanto"]


class Answer(msgspec.Struct):
    unsubscribe: str = ""


Action = Literal["partial", "insert", "update", "delete"]
Number = int | Decimal


class Row(msgspec.Struct):
    """What a level must be: cryptofeed's parser takes any side but Buy for Sell, and `true` for 1."""

    symbol: str
    id: int
    side: Literal["Buy", "Sell"]
    price: Number | None = None
    size: Number | None = None


_answer = msgspec.json.Decoder(Answer)


def _kind(entry: dict[str, Any]) -> Kind:
    if entry["typ"] == SPOT:
        return "spot"
    if entry["isInverse"]:
        return "inverse"
    return "quanto" if entry["isQuanto"] else "linear"


def _multiplier(kind: Kind, entry: dict[str, Any]) -> str | None:
    """BitMEX counts in the settlement currency's units, negative ones where the contract is inverse."""
    units: Any = {
        "spot": None,
        "linear": entry.get("quoteToSettleMultiplier"),
        "inverse": entry.get("underlyingToSettleMultiplier"),
        "quanto": CURRENCIES.get(entry.get("settlCurrency", ""), (None, None))[1],
    }[kind]
    if not units or not entry.get("multiplier"):
        return None
    multiplier = Decimal(entry["multiplier"])
    value = multiplier / units
    return said(abs(value)) if value * units == multiplier else None  # else it has no exact form


def _malformed(rows: list[Row], action: Action) -> str:
    """What a frame can't be; empty if it can."""
    if any(row.symbol != rows[0].symbol for row in rows):
        return "rows of several symbols"
    if action == "delete":
        return ""
    if any(row.size is None or row.size <= 0 for row in rows):
        return "a level without a size"
    if action == "update":
        return ""
    if any(row.price is None for row in rows):
        return "a level without a price"
    prices, ids = {(row.side, row.price) for row in rows}, {(row.side, row.id) for row in rows}
    if min(len(prices), len(ids)) < len(rows):
        return "a level twice"
    return ""


class BitmexFeed(Bitmex):  # type: ignore[misc]
    """BitMEX numbers nothing: a lost update would stay unseen.  So each book is taken anew now and then."""

    refresh_seconds = REFRESH_SECONDS
    sink: Sink
    spawn: Any

    @classmethod
    def entries(cls, data: Any) -> list[Any]:
        found: list[Any] = data
        return found

    @classmethod
    def listing(cls, entry: Any) -> tuple[str, Listing]:
        kind = _kind(entry)
        settle = entry.get("settlCurrency")
        return entry["symbol"], Listing(
            kind=kind,
            base=entry["rootSymbol"].replace("XBT", "BTC"),
            quote=entry["quoteCurrency"].replace("XBT", "BTC"),
            tick=said(entry.get("tickSize")),
            lot=said(entry.get("lotSize")),
            multiplier=_multiplier(kind, entry),
            settle=CURRENCIES[settle][0] if settle in CURRENCIES else settle,
        )

    async def subscribe(self, conn: Any) -> None:
        async def ask(method: str, name: str) -> None:
            await conn.write(json.dumps({"op": method, "args": [f"orderBookL2:{name}"]}))

        self._anew = Resubscriptions(ask, refresh_seconds=self.refresh_seconds)
        self._anew.rotate(self.subscription["orderBookL2"])
        await super().subscribe(conn)

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        if not msg.startswith(DATA):
            answer = _answer.decode(msg)
            table, _, name = answer.unsubscribe.partition(":")
            if table == "orderBookL2":
                await self._anew.unsubscribed(name)
        await super().message_handler(msg, conn, timestamp)
        for name in await self._anew.turn():
            self._gap(name, "the book that was to be taken anew didn't come")

    async def resync(self, symbol: str) -> None:
        await self._anew.start(self.std_symbol_to_exchange_symbol(symbol))

    async def _book(self, msg: dict[str, Any], timestamp: float) -> None:
        rows = msgspec.convert(msg["data"], list[Row], builtin_types=(Decimal,))  # no text for a number
        action = msgspec.convert(msg["action"], Action)
        if not rows:
            return
        name, is_partial = rows[0].symbol, action == "partial"
        if reason := _malformed(rows, action):
            raise FeedError(f"{action} of {name}: {reason}")
        if not self._anew.passes(name, is_partial):
            return
        symbol = self.exchange_symbol_to_std_symbol(name)
        if is_partial:
            self._l2_book[symbol] = OrderBook(self.id, symbol, max_depth=self.max_depth)
            self.order_id[symbol] = defaultdict(dict)
        elif self.partial_received[symbol] and (reason := self._contradiction(msg, symbol)):
            self._gap(name, reason)
            return
        await super()._book(msg, timestamp)

    def _contradiction(self, msg: dict[str, Any], symbol: str) -> str:
        """How an update shows that one before it is missing: by the id of a level."""
        is_insert = msg["action"] == "insert"
        for row in msg["data"]:
            side = BID if row["side"] == "Buy" else ASK
            if (row["id"] in self.order_id[symbol][side]) is is_insert:
                return f"{msg['action']} of level {row['id']}, which is {'' if is_insert else 'un'}known"
            if is_insert and row["price"] in self._l2_book[symbol].book[side]:
                return f"insert of level {row['id']} at {row['price']}, where there is one"
        return ""

    def _gap(self, name: str, reason: str) -> None:
        """cryptofeed then ignores everything up to the next partial."""
        symbol = self.exchange_symbol_to_std_symbol(name)
        self.partial_received[symbol] = False
        self.sink.gap(symbol, reason)


class BitmexSource(CryptofeedSource):
    def _book_time(self, book: OrderBook) -> float | str | None:
        """The latest change in the frame."""
        times = [entry["timestamp"] for entry in book.raw["data"] if "timestamp" in entry]
        return as_sent(max(times)) if times else None

    def _trade_time(self, trade: Trade) -> float | str | None:
        return as_sent(trade.raw["timestamp"])


def bitmex(symbols: list[str], settings: Settings) -> BitmexSource:
    rest, ws = settings.endpoint("bitmex", "rest"), settings.endpoint("bitmex", "ws")
    return BitmexSource("bitmex", symbols, BitmexFeed, rest=rest, ws=ws)
