"""Kraken spot, simulated: WebSocket v2 with `instrument`, `book` and `trade`, and REST `AssetPairs`.

Prices and quantities are JSON numbers with the pair's full precision, trailing zeros included: the checksum
is over those digits.  A subscription of some depth is told of changes within it and of levels that come into
it, and not of those that fall out.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from tradeflow.simulator.book import MarketBook, Trade, Update
from tradeflow.simulator.instruments import Instrument, decimal_text
from tradeflow.simulator.market import Market
from tradeflow.simulator.venue import Client, Frames, Venue, rfc3339
from tradeflow.simulator.view import Level, View

DEPTHS = (10, 25, 100, 500, 1000)


class Kraken(Venue):
    name = "kraken"

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._connections = itertools.count(1)
        self._views: dict[str, View] = {}
        """By topic."""

    def endpoints(self, http: str, ws: str) -> dict[str, str]:
        return {
            "TRADEFLOW_KRAKEN_REST_URL": f"{http}/kraken",
            "TRADEFLOW_KRAKEN_WS_URL": f"{ws}/kraken/v2",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/kraken/0/public/AssetPairs", self.guard(self.asset_pairs)),
            web.get("/kraken/v2", self.guard(self.websocket)),
        ]

    async def asset_pairs(self, request: web.Request) -> web.Response:
        pairs = [_asset_pair(book.instrument) for book in self.books.values()]
        return web.json_response({"error": [], "result": {pair["altname"]: pair for pair in pairs}})

    # --- requests -----------------------------------------------------------------------------------------

    def opened(self, client: Client, request: web.Request) -> None:
        status = {
            "version": "2.0.9",
            "system": "online",
            "api_version": "v2",
            "connection_id": next(self._connections),
        }
        client.send(orjson.dumps({"channel": "status", "type": "update", "data": [status]}))

    def received(self, client: Client, message: Any) -> None:
        received = rfc3339(time.time_ns(), 6)
        if not isinstance(message, dict):
            _reply(client, {"error": "Invalid json", "success": False}, {}, received)
            return
        method, params = message.get("method"), message.get("params") or {}
        if method == "ping":
            _reply(client, {"method": "pong"}, message, received)
        elif method not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            _reply(client, {"error": "Unsupported event", "success": False}, message, received)
        elif params.get("channel") == "instrument":
            result = {"channel": "instrument", "snapshot": True}
            _reply(client, {"method": method, "result": result, "success": True}, message, received)
            if method == "subscribe":
                self.subscribe(client, "instrument")
                listed = [book.instrument for book in self.books.values()]
                client.send(self._instruments("snapshot", listed))
        elif params.get("channel") in ("book", "trade"):
            for name in params.get("symbol", []):
                self._subscription(client, method, params, name, message, received)
        else:
            _reply(client, {"error": "Channel not supported", "success": False}, message, received)

    def _subscription(
        self, client: Client, method: str, params: dict[str, Any], name: str, message: Any, received: str
    ) -> None:
        channel, depth = params["channel"], params.get("depth", 10)
        error = None
        if name not in self.books:
            error = f"Currency pair not supported {name}"
        elif channel == "book" and depth not in DEPTHS:
            error = f"Subscription depth not supported {depth}"
        topic = f"book:{name}:{depth}" if channel == "book" else f"trade:{name}"
        if error is None and (topic in client.topics) is (method == "subscribe"):
            error = "Already subscribed" if method == "subscribe" else "Subscription Not Found"
        if error:
            refusal = {"error": error, "method": method, "success": False, "symbol": name}
            _reply(client, refusal, message, received)
            return
        snapshot = params.get("snapshot", True)
        result = {"channel": channel, "snapshot": snapshot, "symbol": name}
        if channel == "book":
            result["depth"] = depth
        _reply(client, {"method": method, "result": result, "success": True}, message, received)
        if method == "unsubscribe":
            self.unsubscribe(client, topic)
            return
        book = self.books[name]
        if channel == "book" and not self.has_subscribers(topic):
            self._views[topic] = View(book.bids, book.asks, depth)
        self.subscribe(client, topic)
        if snapshot and channel == "book" and not self.is_muted(book):
            client.send(_book_frame(book, "snapshot", book.bids.top(depth), book.asks.top(depth), book.time))
        elif snapshot and channel == "trade":
            client.send(_trade_frame(book, "snapshot", book.trades))

    def refined(self, book: MarketBook) -> None:
        for topic, view in self._views.items():
            if topic.split(":")[1] == book.instrument.name:
                view.refine(10)
        self._broadcast([("instrument", self._instruments("update", [book.instrument]))])

    def _instruments(self, kind: str, listed: Sequence[Instrument]) -> bytes:
        assets = sorted({asset for i in listed for asset in (i.base, i.quote)})
        rows = ",".join(
            f'{{"id":"{asset}","status":"enabled","precision":10,"precision_display":5,"borrowable":false}}'
            for asset in assets
        )
        pairs = ",".join(_pair(i) for i in listed)
        return (
            f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[{rows}],"pairs":[{pairs}]}}}}'
        ).encode()

    def beat(self, now: int) -> None:
        for client in self.clients:
            if client.topics:
                client.send(b'{"channel":"heartbeat"}')

    # --- the market ---------------------------------------------------------------------------------------

    def book_frames(self, update: Update) -> Frames:
        book = update.book
        for depth in DEPTHS:
            topic = f"book:{book.instrument.name}:{depth}"
            if self.has_subscribers(topic):
                bids, asks = self._views[topic].apply(update.bids, update.asks)
                if bids or asks:
                    yield topic, _book_frame(book, "update", bids, asks, update.time)

    def trade_frames(self, update: Update) -> Frames:
        topic = f"trade:{update.book.instrument.name}"
        if self.has_subscribers(topic):
            yield topic, _trade_frame(update.book, "update", update.trades)


def _reply(client: Client, answer: dict[str, Any], request: dict[str, Any], received: str) -> None:
    if "req_id" in request:
        answer["req_id"] = request["req_id"]
    client.send(orjson.dumps({**answer, "time_in": received, "time_out": rfc3339(time.time_ns(), 6)}))


def checksum(i: Instrument, bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """CRC32 of the ten best asks, then bids: digits of price and quantity, no point, no leading zeros."""
    digits = "".join(f"{price * i.tick}{lots * i.lot}" for price, lots in (*asks[:10], *bids[:10]))
    return zlib.crc32(digits.encode())


def _numbers(i: Instrument, levels: Sequence[Level]) -> str:
    return ",".join(
        f'{{"price":{decimal_text(price * i.tick, i.price_decimals)},'
        f'"qty":{decimal_text(lots * i.lot, i.size_decimals)}}}'
        for price, lots in levels
    )


def _book_frame(book: MarketBook, kind: str, bids: Sequence[Level], asks: Sequence[Level], at: int) -> bytes:
    i = book.instrument
    crc = checksum(i, book.bids.top(10), book.asks.top(10))
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{i.name}","bids":[{_numbers(i, bids)}],'
        f'"asks":[{_numbers(i, asks)}],"checksum":{crc},"timestamp":"{rfc3339(at, 6)}"}}]}}'
    ).encode()


def _trade_frame(book: MarketBook, kind: str, trades: Sequence[Trade]) -> bytes:
    i = book.instrument
    rows = ",".join(
        f'{{"symbol":"{i.name}","side":"{trade.side}",{_numbers(i, [(trade.price, trade.lots)])[1:-1]},'
        f'"ord_type":"{trade.order_type}","trade_id":{trade.trade_id},'
        f'"timestamp":"{rfc3339(trade.time, 6)}"}}'
        for trade in trades
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{rows}]}}'.encode()


def _pair(i: Instrument) -> str:
    return (
        f'{{"symbol":"{i.name}","base":"{i.base}","quote":"{i.quote}","status":"online","marginable":false,'
        f'"has_index":true,"price_precision":{i.price_decimals},"price_increment":{i.tick_text},'
        f'"tick_size":{i.tick_text},"qty_precision":{i.size_decimals},"qty_increment":{i.lot_text},'
        f'"qty_min":{i.lot_text},"cost_precision":5,"cost_min":0.5}}'
    )


def _asset_pair(i: Instrument) -> dict[str, Any]:
    name = i.name.replace("BTC", "XBT")
    return {
        "altname": name.replace("/", ""),
        "wsname": name,
        "base": i.base.replace("BTC", "XXBT"),
        "quote": i.quote.replace("USD", "ZUSD") if i.quote == "USD" else i.quote,
        "pair_decimals": i.price_decimals,
        "lot_decimals": i.size_decimals,
        "tick_size": i.tick_text,
        "ordermin": i.lot_text,
        "costmin": "0.5",
        "fees": [[0, float(i.taker_fee) * 100]],
        "status": "online",
    }
