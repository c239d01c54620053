"""Coinbase Advanced Trade: public market data without keys, both sides of the book, a checked sequence."""

from __future__ import annotations

import json
import logging
from typing import Any, Literal

import msgspec
from cryptofeed.connection import RestEndpoint, Routes
from cryptofeed.exchanges import Coinbase

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.digits import said
from tradeflow.feeds.resubscriptions import Resubscriptions
from tradeflow.feeds.source import FeedError, GapError, Sink
from tradeflow.messages import Level, Listing
from tradeflow.settings import Settings

logger = logging.getLogger(__name__)


TAKER_SIDE = {"BUY": "sell", "SELL": "buy"}
"""Coinbase names the maker's side: in its recorded frames SELL trades at the ask, BUY at the bid."""


class Frame(msgspec.Struct):
    """One WebSocket frame; the events' form depends on the channel."""

    channel: str = ""
    sequence_num: int | None = None
    timestamp: str | None = None
    events: msgspec.Raw = msgspec.Raw(b"null")
    type: str = ""
    message: str = ""


class Update(msgspec.Struct):
    side: str
    price_level: str
    new_quantity: str


class BookEvent(msgspec.Struct):
    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[Update]


class Match(msgspec.Struct):
    trade_id: str
    product_id: str
    price: str
    size: str
    time: str
    side: Literal["BUY", "SELL"]


class TradeEvent(msgspec.Struct):
    type: str
    trades: list[Match]


class Subscriptions(msgspec.Struct):
    """Channel -> products, as they are after a request."""

    subscriptions: dict[str, list[str] | None] = {}


_frame = msgspec.json.Decoder(Frame)
_books = msgspec.json.Decoder(list[BookEvent])
_trades = msgspec.json.Decoder(list[TradeEvent])
_subscriptions = msgspec.json.Decoder(list[Subscriptions])


class CoinbaseFeed(Coinbase):  # type: ignore[misc]
    """cryptofeed's class subscribes only with keys, drops the sell side and ignores the sequence.

    Snapshots have tens of thousands of levels: the exchange's strings go straight to the sink."""

    rest_endpoints = [  # noqa: RUF012
        RestEndpoint("https://api.coinbase.com", routes=Routes("/api/v3/brokerage/market/products"))
    ]
    sink: Sink
    spawn: Any
    receipt_time: int

    @classmethod
    def entries(cls, data: Any) -> list[Any]:
        found: list[Any] = data["products"]
        return found

    @classmethod
    def listing(cls, entry: Any) -> tuple[str, Listing]:
        return entry["product_id"], Listing(
            kind="spot",
            base=entry["base_currency_id"],
            quote=entry["quote_currency_id"],
            tick=said(entry.get("price_increment") or entry.get("quote_increment")),
            lot=said(entry.get("base_increment")),
            min_notional=said(entry.get("quote_min_size")),
        )

    async def subscribe(self, conn: Any) -> None:
        self._sequence: int | None = None

        async def ask(method: str, product: str) -> None:
            await conn.write(json.dumps({"type": method, "channel": "level2", "product_ids": [product]}))

        self._anew = Resubscriptions(ask)
        await conn.write(json.dumps({"type": "subscribe", "channel": "heartbeats"}))
        for channel, products in self.subscription.items():
            await conn.write(
                json.dumps({"type": "subscribe", "channel": channel, "product_ids": list(products)})
            )

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        frame = _frame.decode(msg)
        if frame.type == "error":
            raise FeedError(f"coinbase answered: {frame.message or msg[:200]}")
        self._check_sequence(frame)
        if frame.channel == "l2_data":
            for event in _books.decode(frame.events):
                self._deliver_book(event, frame)
        elif frame.channel == "market_trades":
            for history in _trades.decode(frame.events):
                # A snapshot repeats what was traded before the subscription.
                if history.type == "update":
                    for match in reversed(history.trades):  # the newest comes first
                        self._deliver_trade(match)
        elif frame.channel == "subscriptions":
            for now in _subscriptions.decode(frame.events):
                await self._anew.ended(now.subscriptions.get("level2") or ())

    async def resync(self, symbol: str) -> None:
        await self._anew.start(self.std_symbol_to_exchange_symbol(symbol))

    def _check_sequence(self, frame: Frame) -> None:
        """All channels of a connection share one sequence without a hole."""
        number = frame.sequence_num
        if number is None:
            if frame.channel:
                raise FeedError(f"a frame of {frame.channel} without a sequence_num")
            return
        if self._sequence is not None and number != self._sequence + 1:
            raise GapError(f"sequence_num {number} follows {self._sequence}")
        self._sequence = number

    def _deliver_book(self, event: BookEvent, frame: Frame) -> None:
        if not self._anew.passes(event.product_id, event.type == "snapshot"):
            return
        bids: list[Level] = []
        asks: list[Level] = []
        for update in event.updates:
            if update.side == "bid":
                bids.append((update.price_level, update.new_quantity))
            elif update.side == "offer":
                asks.append((update.price_level, update.new_quantity))
            else:
                raise FeedError(f"{event.product_id}: unknown side {update.side!r} in a book update")
        self.sink.book(
            self.exchange_symbol_to_std_symbol(event.product_id),
            snapshot=event.type == "snapshot",
            bids=bids,
            asks=asks,
            exchange_time=frame.timestamp,
            receipt_time=self.receipt_time,
            exchange_sequence=frame.sequence_num,
        )

    def _deliver_trade(self, match: Match) -> None:
        self.sink.trade(
            self.exchange_symbol_to_std_symbol(match.product_id),
            side=TAKER_SIDE[match.side],
            price=match.price,
            size=match.size,
            trade_id=match.trade_id,
            order_type=None,
            exchange_time=match.time,
            receipt_time=self.receipt_time,
        )


class CoinbaseSource(CryptofeedSource):
    quiet_seconds = 5.0
    """Coinbase sends a heartbeat every second."""


def coinbase(symbols: list[str], settings: Settings) -> CoinbaseSource:
    rest, ws = settings.endpoint("coinbase", "rest"), settings.endpoint("coinbase", "ws")
    return CoinbaseSource("coinbase", symbols, CoinbaseFeed, rest=rest, ws=ws)
