"""BitMEX: cryptofeed's parser, with books that start afresh at every partial."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from cryptofeed.exchanges import Bitmex
from cryptofeed.types import OrderBook, Trade

from tradeflow.feeds.cryptofeed_source import CryptofeedSource, as_sent
from tradeflow.feeds.rotation import REFRESH_SECONDS, Rotation
from tradeflow.settings import Settings


class BitmexFeed(Bitmex):  # type: ignore[misc]
    """BitMEX numbers nothing: a lost update would stay unseen.  So each book is taken anew now and then."""

    refresh_seconds = REFRESH_SECONDS

    async def subscribe(self, conn: Any) -> None:
        await super().subscribe(conn)
        self._rotation = Rotation(self.subscription["orderBookL2"], self.refresh_seconds)

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        await super().message_handler(msg, conn, timestamp)
        if (name := self._rotation.due()) is not None:
            for op in ("unsubscribe", "subscribe"):
                await conn.write(json.dumps({"op": op, "args": [f"orderBookL2:{name}"]}))

    async def _book(self, msg: dict[str, Any], timestamp: float) -> None:
        if msg["action"] == "partial" and msg["data"]:
            pair = self.exchange_symbol_to_std_symbol(msg["data"][0]["symbol"])
            self._l2_book[pair] = OrderBook(self.id, pair, max_depth=self.max_depth)
            self.order_id[pair] = defaultdict(dict)
        await super()._book(msg, timestamp)


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
