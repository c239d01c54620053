"""BitMEX, simulated: active instruments, and `orderBookL2` and `trade` over the realtime WebSocket.

A frame holds one action (delete, update or insert), and each is a version of the book.  Times are written
in milliseconds: beyond 1,000 frames a second and book they run ahead of the clock, to stay distinct.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web

from tradeflow.simulator.book import MarketBook, Trade, Update
from tradeflow.simulator.instruments import Instrument
from tradeflow.simulator.ladder import Change
from tradeflow.simulator.venue import Client, Frames, Venue, rfc3339

ID_BASE = {"XBTUSD": 88, "ETHUSD": 297, "SOLUSD": 412}
"""Level ids count down from this × 10^10, by units of ID_DECIMALS, whatever the tick is."""
ID_DECIMALS = 5

BOOK_TYPES = {
    "symbol": "symbol",
    "id": "long",
    "side": "symbol",
    "size": "long",
    "price": "float",
    "timestamp": "timestamp",
    "transactTime": "timestamp",
}
TRADE_TYPES = {
    "timestamp": "timestamp",
    "symbol": "symbol",
    "side": "symbol",
    "size": "long",
    "price": "float",
    "tickDirection": "symbol",
    "trdMatchID": "guid",
    "trdType": "symbol",
}


class Bitmex(Venue):
    name = "bitmex"

    def endpoints(self, http: str, ws: str) -> dict[str, str]:
        return {
            "TRADEFLOW_BITMEX_REST_URL": f"{http}/bitmex",
            "TRADEFLOW_BITMEX_WS_URL": f"{ws}/bitmex/realtime",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/bitmex/api/v1/instrument/active", self.guard(self.instruments)),
            web.get("/bitmex/realtime", self.guard(self.websocket)),
        ]

    async def instruments(self, request: web.Request) -> web.Response:
        rows = [_instrument(book) for book in self.books.values()]
        return web.Response(text=f"[{','.join(rows)}]", content_type="application/json")

    # --- requests -----------------------------------------------------------------------------------------

    def opened(self, client: Client, request: web.Request) -> None:
        welcome = {
            "info": "Welcome to the BitMEX Realtime API.",
            "version": "2.0.0",
            "timestamp": rfc3339(time.time_ns(), 3),
            "docs": "https://www.bitmex.com/app/wsAPI",
            "limit": {"remaining": 39},
        }
        client.send(orjson.dumps(welcome))
        topics = request.query.get("subscribe", "")
        if topics:
            self._request(client, {"op": "subscribe", "args": topics.split(",")})

    def received(self, client: Client, message: Any) -> None:
        if message == "ping":
            client.send(b"pong")
        elif isinstance(message, dict) and message.get("op") in ("subscribe", "unsubscribe"):
            self._request(client, message)
        else:
            _refuse(client, "Unrecognized request", message)

    def _request(self, client: Client, message: dict[str, Any]) -> None:
        topics = message.get("args", [])
        accepted = []
        for topic in [topics] if isinstance(topics, str) else topics:
            table, _, name = str(topic).partition(":")
            if table not in ("orderBookL2", "trade") or name not in self.books:
                _refuse(client, f"Unknown or expired symbol or table: {topic}", message)
                continue
            if message["op"] == "subscribe" and topic in client.topics:
                _refuse(client, f"You are already subscribed to this topic: {topic}", message)
                continue
            if message["op"] == "unsubscribe" and topic not in client.topics:
                _refuse(client, f"You are not subscribed to this topic: {topic}", message)
                continue
            accepted.append(topic)
            client.send(orjson.dumps({"success": True, message["op"]: topic, "request": message}))
        for topic in accepted:
            table, _, name = topic.partition(":")
            if message["op"] == "unsubscribe":
                self.unsubscribe(client, topic)
                continue
            self.subscribe(client, topic)
            if table == "trade":
                client.send(_trade_partial(self.books[name]))
            elif not self.is_muted(self.books[name]):
                client.send(_book_partial(self.books[name]))

    # --- the market ---------------------------------------------------------------------------------------

    def book_frames(self, update: Update) -> Frames:
        i = update.book.instrument
        topic = f"orderBookL2:{i.name}"
        if not self.has_subscribers(topic):
            return
        for action in ("delete", "update", "insert"):
            bids, asks = ([c for c in side if _action(c) == action] for side in (update.bids, update.asks))
            if rows := [*_levels(i, "Buy", bids, update.time), *_levels(i, "Sell", asks, update.time)]:
                yield topic, _frame("orderBookL2", action, rows)

    def trade_frames(self, update: Update) -> Frames:
        i = update.book.instrument
        topic = f"trade:{i.name}"
        if self.has_subscribers(topic):
            yield topic, _frame("trade", "insert", _trades(i, update.trades))


def _action(change: Change) -> str:
    return "delete" if not change.after else "update" if change.before else "insert"


def _refuse(client: Client, error: str, message: Any) -> None:
    client.send(orjson.dumps({"status": 400, "error": error, "meta": {}, "request": message}))


def _frame(table: str, action: str, rows: Iterable[str], extra: str = "") -> bytes:
    return f'{{"table":"{table}","action":"{action}",{extra}"data":[{",".join(rows)}]}}'.encode()


def _levels(i: Instrument, side: str, changes: Sequence[Change], at: int) -> list[str]:
    stamp = rfc3339(at, 3)
    first, unit = ID_BASE[i.name] * 10**10, i.tick * 10 ** (ID_DECIMALS - i.price_decimals)
    return [
        f'{{"symbol":"{i.name}","id":{first - price * unit},"side":"{side}",'
        + (f'"size":{i.size_text(lots)},' if lots else "")
        + f'"price":{i.price_text(price)},"timestamp":"{stamp}","transactTime":"{stamp}"}}'
        for price, _, lots in changes
    ]


def _book_partial(book: MarketBook) -> bytes:
    """The whole book; every row has the time of the book's last change."""
    i = book.instrument
    bids, asks = ([Change(p, 0, n) for p, n in side.top()] for side in (book.bids, book.asks))
    rows = [*_levels(i, "Sell", asks[::-1], book.time), *_levels(i, "Buy", bids, book.time)]
    types = orjson.dumps(BOOK_TYPES).decode()
    extra = f'"keys":["symbol","id","side"],"types":{types},"filter":{{"symbol":"{i.name}"}},'
    return _frame("orderBookL2", "partial", rows, extra)


def _trades(i: Instrument, trades: Sequence[Trade]) -> list[str]:
    return [
        f'{{"timestamp":"{rfc3339(trade.time, 3)}","symbol":"{i.name}","side":"{trade.side.capitalize()}",'
        f'"size":{i.size_text(trade.lots)},"price":{i.price_text(trade.price)},"tickDirection":"ZeroPlusTick",'
        f'"trdMatchID":"00000000-006d-1000-0000-{trade.trade_id:012x}","trdType":"Regular"}}'
        for trade in trades
    ]


def _trade_partial(book: MarketBook) -> bytes:
    """The last trade: a client that reconnects has seen it already."""
    i = book.instrument
    types = orjson.dumps(TRADE_TYPES).decode()
    extra = f'"keys":[],"types":{types},"filter":{{"symbol":"{i.name}"}},'
    return _frame("trade", "partial", _trades(i, book.trades[-1:]), extra)


def _instrument(book: MarketBook) -> str:
    i = book.instrument
    inverse = i.base == "BTC"
    row = {
        "symbol": i.name,
        "rootSymbol": i.base.replace("BTC", "XBT"),
        "state": "Open",
        "typ": "FFWCSX",
        "expiry": None,
        "positionCurrency": "USD" if inverse else "",
        "underlying": i.base.replace("BTC", "XBT"),
        "quoteCurrency": i.quote,
        "underlyingSymbol": f"{i.base.replace('BTC', 'XBT')}=",
        "lotSize": i.lot,
        "tickSize": float(Decimal(i.tick_text)),
        "multiplier": -100_000_000 if inverse else 100,
        "settlCurrency": "XBt",
        "underlyingToSettleMultiplier": -100_000_000 if inverse else None,
        "quoteToSettleMultiplier": None if inverse else 3108,
        "isQuanto": not inverse,
        "isInverse": inverse,
        "makerFee": -0.00025,
        "takerFee": float(i.taker_fee),
        "timestamp": rfc3339(book.time, 3),
    }
    return orjson.dumps(row).decode()
