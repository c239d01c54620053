"""cryptofeed as it comes: its own class and FeedHandler, callbacks that do nothing but count."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from cryptofeed import FeedHandler, exchanges
from cryptofeed.defines import L2_BOOK, TRADES

NAME = os.environ["BENCH_EXCHANGE"]
REST, WS = (os.environ[f"TRADEFLOW_{NAME.upper()}_{kind}_URL"] for kind in ("REST", "WS"))
STOCK: Any = getattr(exchanges, NAME.capitalize())
counts = {"books": 0, "trades": 0}


class Relocated(STOCK):
    """At another address; cryptofeed insists on wss://, which is undone at the last moment."""

    id = STOCK.id
    websocket_endpoints: ClassVar[list[Any]] = [
        dataclasses.replace(
            endpoint, address=WS.replace("ws://", "wss://"), authentication=True, options={"proxy": None}
        )
        for endpoint in STOCK.websocket_endpoints
    ]
    rest_endpoints: ClassVar[list[Any]] = [
        dataclasses.replace(endpoint, address=REST) for endpoint in STOCK.rest_endpoints
    ]

    async def _ws_authentication(self, address: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return address.replace("wss://", "ws://", 1), options


async def on_book(book: Any, receipt_time: float) -> None:
    counts["books"] += 1


async def on_trade(trade: Any, receipt_time: float) -> None:
    counts["trades"] += 1


def write(*_: object) -> None:
    """On SIGUSR1: how much has come so far."""
    Path("counts.new").write_text(json.dumps(counts))
    Path("counts.new").rename("counts.json")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, write)
    handler = FeedHandler(config={"uvloop": False, "log": {"disabled": True}})
    callbacks = {L2_BOOK: on_book, TRADES: on_trade}
    symbols = os.environ["SYMBOLS"].split(",")
    handler.add_feed(Relocated(symbols=symbols, channels=[L2_BOOK, TRADES], callbacks=callbacks))
    handler.run()
