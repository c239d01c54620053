"""BitMEX: books by our own parser, level by level by id; the rest is cryptofeed's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from cryptofeed.exchanges import Bitmex
from cryptofeed.types import Trade

from tradeflow.feeds.cryptofeed_source import CryptofeedSource, as_sent
from tradeflow.feeds.digits import digits, said
from tradeflow.feeds.resubscriptions import Resubscriptions
from tradeflow.feeds.rotation import REFRESH_SECONDS
from tradeflow.feeds.source import FeedError, Sink
from tradeflow.messages import Level, Listing
from tradeflow.normalize import canonical_decimal
from tradeflow.settings import Settings

SPOT = "IFXXXP"
CURRENCIES = {"XBt": ("BTC", 10**8), "USDt": ("USDT", 10**6)}
"""What BitMEX settles in: the currency, and how many of its units make one."""

Kind = Literal["spot", "linear", "inverse", "quanto"]


Id = Annotated[int, msgspec.Meta(gt=-(10**18), lt=10**18)]
Side = Literal["Buy", "Sell"]
Action = Literal["partial", "insert", "update", "delete"]


class Frame(msgspec.Struct):
    """Rows of a table, or the answer to a request."""

    table: str = ""
    action: Action | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    unsubscribe: str = ""


class Row(msgspec.Struct):
    """A level; its price is said once, then its id stands for it."""

    symbol: str
    id: Id
    side: Side
    price: msgspec.Raw = msgspec.Raw()
    size: msgspec.Raw = msgspec.Raw()
    timestamp: str | None = None


_frame = msgspec.json.Decoder(Frame)
_rows = msgspec.json.Decoder(list[Row])


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


class Levels:
    """The levels of one book by side and id, since its partial."""

    def __init__(self) -> None:
        self._prices: dict[Side, dict[int, str]] = {"Buy": {}, "Sell": {}}
        """Side -> id -> price, canonical."""
        self._known: dict[Side, set[str]] = {"Buy": set(), "Sell": set()}

    def apply(self, action: Action, rows: list[Row]) -> tuple[list[Level], list[Level]]:
        """(bids, asks) that are thereby other ones, with their sizes; 0 of one that is deleted.

        Raises LookupError where a level is there or isn't against what `action` says: an update before this one is
        missing.  Raises ValueError or FeedError for what no frame can be."""
        found: dict[Side, list[Level]] = {"Buy": [], "Sell": []}
        adds = action in ("insert", "partial")
        for row in rows:
            if row.symbol != rows[0].symbol:
                raise FeedError(f"{action} of {rows[0].symbol}: rows of several symbols")
            prices = self._prices[row.side]
            price = prices.get(row.id)
            if adds:
                if price is not None:
                    raise LookupError(f"{action} of level {row.id}, which is known")
                price = canonical_decimal(digits(row.price))
                if price in self._known[row.side]:
                    raise LookupError(f"{action} of level {row.id} at {price}, where there is one")
                prices[row.id] = price
                self._known[row.side].add(price)
            elif price is None:
                raise LookupError(f"{action} of level {row.id}, which is unknown")
            if action == "delete":
                del prices[row.id]
                self._known[row.side].remove(price)
                size = "0"
            else:
                size = digits(row.size)
                if not size.strip("0."):
                    raise FeedError(f"{action} of {row.symbol}: a level without a size")
            found[row.side].append((price, size))
        return found["Buy"], found["Sell"]


class BitmexFeed(Bitmex):  # type: ignore[misc]
    """BitMEX numbers nothing: a lost update would stay unseen.  So each book is taken anew now and then."""

    refresh_seconds = REFRESH_SECONDS
    sink: Sink
    spawn: Any
    receipt_time: int

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

        self._levels: dict[str, Levels] = {}
        """Of each book that has had its partial, and no gap since."""
        self._subscribed = frozenset(self.subscription["orderBookL2"])
        self._anew = Resubscriptions(ask, refresh_seconds=self.refresh_seconds)
        self._anew.rotate(self.subscription["orderBookL2"])
        await super().subscribe(conn)

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        frame = _frame.decode(msg)
        if frame.table == "orderBookL2":
            if frame.action is None:
                raise FeedError("a frame of orderBookL2 without an action")
            self._on_book(frame.action, _rows.decode(frame.data))
        else:
            table, _, name = frame.unsubscribe.partition(":")
            if table == "orderBookL2":
                await self._anew.unsubscribed(name)
            await super().message_handler(msg, conn, timestamp)
        for name in await self._anew.turn():
            self._gap(name, "the book that was to be taken anew didn't come")

    async def resync(self, symbol: str) -> None:
        await self._anew.start(self.std_symbol_to_exchange_symbol(symbol))

    def _on_book(self, action: Action, rows: list[Row]) -> None:
        if not rows:
            return
        name, is_partial = rows[0].symbol, action == "partial"
        if name not in self._subscribed:
            raise FeedError(f"{action} of a book that isn't subscribed: {name[:100]!r}")
        if not self._anew.passes(name, is_partial):
            return
        if is_partial:
            self._levels[name] = Levels()
        levels = self._levels.get(name)
        if levels is None:  # nothing before the partial counts
            return
        try:
            bids, asks = levels.apply(action, rows)
        except LookupError as error:
            if is_partial:
                raise FeedError(str(error)) from None
            self._gap(name, str(error))
            return
        times = [row.timestamp for row in rows if row.timestamp is not None]
        self.sink.book(
            self.exchange_symbol_to_std_symbol(name),
            snapshot=is_partial,
            bids=bids,
            asks=asks,
            exchange_time=max(times) if times else None,  # the latest change in the frame
            receipt_time=self.receipt_time,
        )

    def _gap(self, name: str, reason: str) -> None:
        """Everything up to the next partial is ignored."""
        self._levels.pop(name, None)
        self.sink.gap(self.exchange_symbol_to_std_symbol(name), reason)


class BitmexSource(CryptofeedSource):
    def _trade_time(self, trade: Trade) -> float | str | None:
        return as_sent(trade.raw["timestamp"])


def bitmex(symbols: list[str], settings: Settings) -> BitmexSource:
    rest, ws = settings.endpoint("bitmex", "rest"), settings.endpoint("bitmex", "ws")
    return BitmexSource("bitmex", symbols, BitmexFeed, rest=rest, ws=ws)
