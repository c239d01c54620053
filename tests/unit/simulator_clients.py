"""Plain clients of the exchanges' protocols, each maintaining a book in the simplest way that is right."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import aiohttp

Levels = list[list[str]]


def canonical(number: str) -> str:
    """The number without trailing zeros or exponent."""
    return format(Decimal(number).normalize(), "f")


class GapError(Exception):
    """The exchange's own check has failed: frames are missing."""


class PlainBook:
    """Two dicts of canonical price -> canonical size."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def apply(self, side: str, price: str, size: str) -> None:
        levels = self.bids if side in ("bid", "Buy", "b") else self.asks
        if Decimal(size) == 0:
            levels.pop(canonical(price), None)
        else:
            levels[canonical(price)] = canonical(size)

    def sorted(self, depth: int | None = None) -> tuple[Levels, Levels]:
        bids = sorted(self.bids.items(), key=lambda level: Decimal(level[0]), reverse=True)
        asks = sorted(self.asks.items(), key=lambda level: Decimal(level[0]))
        return [list(level) for level in bids[:depth]], [list(level) for level in asks[:depth]]

    def cut(self, depth: int) -> None:
        bids, asks = self.sorted(depth)
        self.bids, self.asks = (dict(side) for side in (bids, asks))


class Protocol:
    """`feed` takes a frame and tells, of a book frame, (the exchange's symbol, sequence, time as written)."""

    def __init__(self) -> None:
        self.books: dict[str, PlainBook] = {}
        self.trades: list[dict[str, Any]] = []

    async def connect(
        self, session: aiohttp.ClientSession, urls: Mapping[str, str], names: list[str]
    ) -> aiohttp.ClientWebSocketResponse:
        raise NotImplementedError

    def feed(self, frame: Any) -> tuple[str, int | None, str] | None:
        raise NotImplementedError

    async def next_frame(self, socket: aiohttp.ClientWebSocketResponse) -> Any:
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        # Numbers keep the digits that were sent.
        return json.loads(message.data, parse_float=str, parse_int=str)


class BinanceClient(Protocol):
    async def connect(self, session, urls, names):
        streams = "/".join(f"{n.lower()}@depth@100ms/{n.lower()}@aggTrade" for n in names)
        socket = await session.ws_connect(f"{urls['TRADEFLOW_BINANCE_WS_URL']}/stream?streams={streams}")
        self.last: dict[str, int] = {}
        for name in names:
            url = f"{urls['TRADEFLOW_BINANCE_REST_URL']}/api/v3/depth?symbol={name}&limit=1000"
            async with session.get(url) as response:
                snapshot = await response.json()
            book = self.books[name] = PlainBook()
            for side in ("bids", "asks"):
                for price, size in snapshot[side]:
                    book.apply(side[0], price, size)
            self.last[name] = snapshot["lastUpdateId"]
        return socket

    def feed(self, frame):
        data = frame["data"]
        if data["e"] == "aggTrade":
            self.trades.append(data)
            return None
        assert frame["stream"] == f"{data['s'].lower()}@depth@100ms"
        name, first, last = data["s"], int(data["U"]), int(data["u"])
        if last <= self.last[name]:
            return None
        if first > self.last[name] + 1:
            raise GapError(f"{first} follows {self.last[name]}")
        self.last[name] = last
        for side in ("b", "a"):
            for price, size in data[side]:
                self.books[name].apply(side, price, size)
        return name, last, data["E"]


class CoinbaseClient(Protocol):
    async def connect(self, session, urls, names):
        socket = await session.ws_connect(urls["TRADEFLOW_COINBASE_WS_URL"])
        for channel in ("market_trades", "level2", "heartbeats"):
            await socket.send_json({"type": "subscribe", "product_ids": names, "channel": channel})
        self.sequence = -1
        self.heartbeats = 0
        return socket

    def feed(self, frame):
        if int(frame["sequence_num"]) != self.sequence + 1:
            raise GapError(f"{frame['sequence_num']} follows {self.sequence}")
        self.sequence += 1
        self.heartbeats += frame["channel"] == "heartbeats"
        if frame["channel"] == "market_trades":
            self.trades += [
                t for event in frame["events"] if event["type"] == "update" for t in event["trades"]
            ]
        if frame["channel"] != "l2_data":
            return None
        (event,) = frame["events"]
        name = event["product_id"]
        if event["type"] == "snapshot":
            self.books[name] = PlainBook()
        for update in event["updates"]:
            assert update["side"] in ("bid", "offer")
            self.books[name].apply(update["side"], update["price_level"], update["new_quantity"])
        return name, None, frame["timestamp"]


class KrakenClient(Protocol):
    def __init__(self, depth: int = 1000) -> None:
        super().__init__()
        self.depth = depth
        self.heartbeats = 0
        self.checksums = 0

    async def connect(self, session, urls, names):
        socket = await session.ws_connect(urls["TRADEFLOW_KRAKEN_WS_URL"])
        self.digits: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        for channel, more in (("instrument", {}), ("trade", {}), ("book", {"depth": self.depth})):
            params = {"channel": channel, **more, **({} if channel == "instrument" else {"symbol": names})}
            await socket.send_json({"method": "subscribe", "params": params, "req_id": 7})
        return socket

    def feed(self, frame):
        channel = frame.get("channel")
        self.heartbeats += channel == "heartbeat"
        if channel == "trade" and frame["type"] == "update":
            self.trades += frame["data"]
        if channel != "book":
            return None
        (data,) = frame["data"]
        name = data["symbol"]
        if frame["type"] == "snapshot":
            self.books[name] = PlainBook()
            self.digits[name] = ({}, {})
        book, digits = self.books[name], self.digits[name]
        for side, texts in (("bids", digits[0]), ("asks", digits[1])):
            for level in data[side]:
                book.apply(side[0], level["price"], level["qty"])
                texts[canonical(level["price"])] = level["price"] + " " + level["qty"]
        book.cut(self.depth)
        bids, asks = book.sorted(10)
        best = [digits[1][price] for price, _ in asks] + [digits[0][price] for price, _ in bids]
        text = "".join(number.replace(".", "").lstrip("0") for level in best for number in level.split())
        if zlib.crc32(text.encode()) != int(data["checksum"]):
            raise GapError(f"checksum of {name}")
        self.checksums += 1
        return name, None, data["timestamp"]


class BitmexClient(Protocol):
    async def connect(self, session, urls, names):
        socket = await session.ws_connect(urls["TRADEFLOW_BITMEX_WS_URL"])
        self.prices: dict[tuple[str, str, str], str] = {}
        topics = [f"{table}:{name}" for table in ("orderBookL2", "trade") for name in names]
        await socket.send_json({"op": "subscribe", "args": topics})
        return socket

    def feed(self, frame):
        if frame.get("table") == "trade" and frame["action"] == "insert":
            self.trades += frame["data"]
        if frame.get("table") != "orderBookL2":
            return None
        name = frame["data"][0]["symbol"]
        if frame["action"] == "partial":
            self.books[name] = PlainBook()
        for row in frame["data"]:
            key = (row["symbol"], row["side"], row["id"])
            if frame["action"] in ("partial", "insert"):
                assert frame["action"] == "partial" or key not in self.prices
                self.prices[key] = row["price"]
            # By id, as the exchange wants it: update and delete of an unknown id would fail here.
            price = self.prices.pop(key) if frame["action"] == "delete" else self.prices[key]
            self.books[name].apply(row["side"], price, row.get("size", "0"))
        return name, None, frame["data"][0]["timestamp"]
