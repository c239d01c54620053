"""Coinbase Advanced Trade, simulated: public products, `level2`, `market_trades` and `heartbeats`.

As at the real one, `sequence_num` counts all frames of a connection, the sell side of the book is `offer`,
a trade's `side` is the maker's, and times lose their trailing zeros.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from tradeflow.simulator.book import MarketBook, Trade, Update
from tradeflow.simulator.faults import Fate
from tradeflow.simulator.instruments import Instrument
from tradeflow.simulator.ladder import Change
from tradeflow.simulator.market import Market
from tradeflow.simulator.venue import Client, Frames, Venue, rfc3339

CHANNELS = ("level2", "market_trades", "heartbeats")

_NUMBER = b'"sequence_num":0,'


class _NumberedClient(Client):
    """Puts the connection's own sequence number into each frame; a lost frame has one, too."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.sequence = 0

    def send(self, frame: bytes, *, fate: Fate = "") -> None:
        super().send(frame.replace(_NUMBER, b'"sequence_num":%d,' % self.sequence, 1), fate=fate)
        self.sequence += 1


class Coinbase(Venue):
    name = "coinbase"

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._heartbeats = 0

    def endpoints(self, http: str, ws: str) -> dict[str, str]:
        return {
            "TRADEFLOW_COINBASE_REST_URL": f"{http}/coinbase",
            "TRADEFLOW_COINBASE_WS_URL": f"{ws}/coinbase",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/coinbase/api/v3/brokerage/market/products", self.guard(self.products)),
            web.get("/coinbase", self.guard(self.websocket)),
        ]

    async def products(self, request: web.Request) -> web.Response:
        products = [_product(book) for book in self.books.values()]
        return web.json_response({"products": products, "num_products": len(products)})

    # --- requests -----------------------------------------------------------------------------------------

    def new_client(self, transport: asyncio.Transport) -> Client:
        return _NumberedClient(transport)

    def received(self, client: Client, message: Any) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in ("subscribe", "unsubscribe"):
            _refuse(client, "invalid message")
            return
        channel, products = message.get("channel"), message.get("product_ids") or []
        unknown = sorted(set(products) - set(self.books))
        if channel not in CHANNELS or unknown:
            _refuse(client, f"{channel or ''} {', '.join(unknown)} is not a valid channel or product")
            return
        for product in ["heartbeats"] if channel == "heartbeats" else products:
            if kind == "unsubscribe":
                self.unsubscribe(client, f"{channel}:{product}")
                continue
            self.subscribe(client, f"{channel}:{product}")
            if channel == "level2" and not self.is_muted(self.books[product]):
                client.send(_snapshot(self.books[product]))
            elif channel == "market_trades":
                book = self.books[product]
                client.send(_trades(book, "snapshot", reversed(book.trades), time.time_ns()))
        subscriptions: dict[str, list[str]] = {}
        for topic in sorted(client.topics):
            name, _, product = topic.partition(":")
            subscriptions.setdefault(name, []).append(product)
        client.send(_frame("subscriptions", time.time_ns(), [{"subscriptions": subscriptions}]))

    def beat(self, now: int) -> None:
        self._heartbeats += 1
        current = rfc3339(now, 9).replace("T", " ").replace("Z", " +0000 UTC")
        event = {
            "current_time": f"{current} m=+{self._heartbeats}.000000000",
            "heartbeat_counter": self._heartbeats,
        }
        self._broadcast([("heartbeats:heartbeats", _frame("heartbeats", now, [event]))])

    # --- the market ---------------------------------------------------------------------------------------

    def book_frames(self, update: Update) -> Frames:
        i = update.book.instrument
        topic = f"level2:{i.name}"
        if self.has_subscribers(topic):
            at = go_time(update.time)
            levels = [*_levels(i, "bid", update.bids, at), *_levels(i, "offer", update.asks, at)]
            yield topic, _frame("l2_data", update.time, [_event("update", i, levels)])

    def trade_frames(self, update: Update) -> Frames:
        topic = f"market_trades:{update.book.instrument.name}"
        if self.has_subscribers(topic):
            yield topic, _trades(update.book, "update", update.trades, update.time)


def go_time(at: int) -> str:
    """RFC 3339 without trailing zeros in the fraction, as Go writes it."""
    return rfc3339(at, 9)[:-1].rstrip("0").rstrip(".") + "Z"


def _frame(channel: str, at: int, events: list[dict[str, Any]]) -> bytes:
    """`sequence_num` is a placeholder that each connection fills in."""
    head = f'{{"channel":"{channel}","timestamp":"{go_time(at)}",'.encode()
    return head + _NUMBER + b'"events":%b}' % orjson.dumps(events)


def _refuse(client: Client, message: str) -> None:
    client.send(orjson.dumps({"type": "error", "message": message}))


def _event(kind: str, i: Instrument, levels: list[dict[str, str]]) -> dict[str, Any]:
    return {"type": kind, "product_id": i.name, "updates": levels}


def _levels(i: Instrument, side: str, changes: Iterable[Change], at: str) -> list[dict[str, str]]:
    return [
        {
            "side": side,
            "event_time": at,
            "price_level": i.price_text(price),
            "new_quantity": i.size_text(lots),
        }
        for price, _, lots in changes
    ]


def _snapshot(book: MarketBook) -> bytes:
    """The whole book, with the time of its last change."""
    i, at = book.instrument, go_time(book.time)
    bids, asks = ([Change(p, 0, n) for p, n in side.top()] for side in (book.bids, book.asks))
    levels = [*_levels(i, "bid", bids, at), *_levels(i, "offer", asks, at)]
    return _frame("l2_data", book.time, [_event("snapshot", i, levels)])


def _trades(book: MarketBook, kind: str, trades: Iterable[Trade], at: int) -> bytes:
    i = book.instrument
    rows = [
        {
            "product_id": i.name,
            "trade_id": str(trade.trade_id),
            "price": i.price_text(trade.price),
            "size": i.size_text(trade.lots),
            "time": go_time(trade.time),
            "side": "SELL" if trade.side == "buy" else "BUY",
        }
        for trade in trades
    ]
    return _frame("market_trades", at, [{"type": kind, "trades": rows}])


def _product(book: MarketBook) -> dict[str, Any]:
    i = book.instrument
    return {
        "product_id": i.name,
        "price": i.price_text(book.bids.best),
        "base_increment": i.lot_text,
        "quote_increment": i.tick_text,
        "price_increment": i.tick_text,
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": i.lot_text,
        "base_max_size": "3400",
        "is_disabled": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": i.quote,
        "base_currency_id": i.base,
        "base_display_symbol": i.base,
        "quote_display_symbol": i.quote,
        "view_only": False,
        "display_name": i.name,
        "product_venue": "CBE",
        "alias": "",
        "alias_to": [],
    }
