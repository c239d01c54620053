"""Binance spot, simulated: `exchangeInfo`, `depth`, and combined streams of depth diffs and aggregate trades.

Differs from the real one in this: a diff is sent for each update at once, not for each 100 ms.  A `depth`
snapshot has at most `limit` levels a side, so only a book that is not deeper is known in full from it.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from tradeflow.simulator.book import MarketBook, Update
from tradeflow.simulator.instruments import Instrument, decimal_text
from tradeflow.simulator.venue import Client, Frames, Venue

DEPTH_STREAMS = ("depth", "depth@100ms")


class Binance(Venue):
    name = "binance"

    def endpoints(self, http: str, ws: str) -> dict[str, str]:
        return {
            "TRADEFLOW_BINANCE_REST_URL": f"{http}/binance",
            "TRADEFLOW_BINANCE_WS_URL": f"{ws}/binance",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/binance/api/v3/exchangeInfo", self.guard(self.exchange_info)),
            web.get("/binance/api/v3/depth", self.guard(self.depth)),
            web.get("/binance/stream", self.guard(self.websocket)),
        ]

    async def exchange_info(self, request: web.Request) -> web.Response:
        symbols = [_listing(book.instrument) for book in self.books.values()]
        return web.json_response(
            {"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "symbols": symbols}
        )

    async def depth(self, request: web.Request) -> web.Response:
        book = self.books.get(request.query.get("symbol", ""))
        if book is None:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        if self.is_muted(book):
            return web.json_response({"code": -1000, "msg": "An unknown error occurred."}, status=503)
        try:
            limit = min(5000, int(request.query.get("limit", "100")))
        except ValueError:
            return web.json_response(
                {"code": -1130, "msg": "Data sent for parameter 'limit' is not valid."}, status=400
            )
        bids, asks = (
            [[_price(book, price), _size(book, lots)] for price, lots in ladder.top(limit)]
            for ladder in (book.bids, book.asks)
        )
        return web.json_response({"lastUpdateId": book.sequence, "bids": bids, "asks": asks})

    def opened(self, client: Client, request: web.Request) -> None:
        for stream in request.query.get("streams", "").split("/"):
            self._add_stream(client, stream)

    def received(self, client: Client, message: Any) -> None:
        """Live subscription: `{"method": "SUBSCRIBE", "params": [stream…], "id": 1}`."""
        if not isinstance(message, dict) or message.get("method") not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            client.send(orjson.dumps({"error": {"code": 2, "msg": "Invalid request"}}))
            return
        for stream in message.get("params", []):
            if message["method"] == "SUBSCRIBE":
                self._add_stream(client, stream)
            else:
                self.unsubscribe(client, stream)
        client.send(orjson.dumps({"result": None, "id": message.get("id")}))

    def _add_stream(self, client: Client, stream: str) -> None:
        name, _, kind = stream.partition("@")
        if name.upper() in self.books and kind in (*DEPTH_STREAMS, "aggTrade"):
            self.subscribe(client, stream)

    def book_frames(self, update: Update) -> Frames:
        book = update.book
        name = book.instrument.name
        streams = [s for kind in DEPTH_STREAMS if self.has_subscribers(s := f"{name.lower()}@{kind}")]
        if not streams:
            return
        data = orjson.dumps(
            {
                "e": "depthUpdate",
                "E": update.time // 1_000_000,
                "s": name,
                "U": update.first,
                "u": update.sequence,
                "b": [[_price(book, c.price), _size(book, c.after)] for c in update.bids],
                "a": [[_price(book, c.price), _size(book, c.after)] for c in update.asks],
            }
        )
        for stream in streams:
            yield stream, _combined(stream, data)

    def trade_frames(self, update: Update) -> Frames:
        book = update.book
        stream = f"{book.instrument.name.lower()}@aggTrade"
        if not self.has_subscribers(stream):
            return
        for trade in update.trades:
            data = {
                "e": "aggTrade",
                "E": trade.time // 1_000_000,
                "s": book.instrument.name,
                "a": trade.trade_id,
                "p": _price(book, trade.price),
                "q": _size(book, trade.lots),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": trade.time // 1_000_000,
                "m": trade.side == "sell",
                "M": True,
            }
            yield stream, _combined(stream, orjson.dumps(data))


def _combined(stream: str, data: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


def _price(book: MarketBook, ticks: int) -> str:
    i = book.instrument
    return decimal_text(ticks * i.tick * 10 ** (8 - i.price_decimals), 8)


def _size(book: MarketBook, lots: int) -> str:
    i = book.instrument
    return decimal_text(lots * i.lot * 10 ** (8 - i.size_decimals), 8)


def _listing(i: Instrument) -> dict[str, Any]:
    tick = decimal_text(i.tick * 10 ** (8 - i.price_decimals), 8)
    lot = decimal_text(i.lot * 10 ** (8 - i.size_decimals), 8)
    return {
        "symbol": i.name,
        "status": "TRADING",
        "baseAsset": i.base,
        "baseAssetPrecision": 8,
        "quoteAsset": i.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT"],
    }
