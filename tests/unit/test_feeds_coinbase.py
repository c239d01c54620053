"""Coinbase Advanced Trade without keys: both sides, one sequence, errors; against a scripted server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from feed_server import FeedServer, Records, until

from tradeflow.feeds.instruments import _loaded
from tradeflow.feeds.registry import make_source
from tradeflow.settings import Settings

PRODUCTS = {
    "products": [
        {
            "product_id": f"{base}-USD",
            "base_currency_id": base,
            "quote_currency_id": "USD",
            "quote_increment": "0.01",
        }
        for base in ("BTC", "ETH")
    ]
}


class Exchange(FeedServer):
    def __init__(self) -> None:
        super().__init__({"/api/v3/brokerage/market/products": PRODUCTS})
        self.sequence = -1

    async def emit(self, channel: str, *events: Any, skip: int = 0) -> None:
        self.sequence += 1 + skip
        await self.send(
            {
                "channel": channel,
                "client_id": "",
                "timestamp": "2026-08-09T21:05:48.483587501Z",
                "sequence_num": self.sequence,
                "events": list(events),
            }
        )

    async def book(self, kind: str, *levels: tuple[str, str, str], skip: int = 0) -> None:
        updates = [
            {"side": side, "event_time": "1970-01-01T00:00:00Z", "price_level": p, "new_quantity": q}
            for side, p, q in levels
        ]
        await self.emit("l2_data", {"type": kind, "product_id": "BTC-USD", "updates": updates}, skip=skip)


@pytest.fixture
async def exchange():
    async with Exchange() as server:
        yield server
        _loaded.pop(("COINBASE", server.http), None)


@pytest.fixture
async def feed(exchange):
    records = Records()
    settings = Settings(coinbase_rest_url=exchange.http, coinbase_ws_url=exchange.ws)
    source = make_source("coinbase", ["BTC-USD"], settings)
    records.resync = source.resync
    task = asyncio.create_task(source.run(records))
    await until(lambda: len(exchange.received) == 3 or task.done())
    yield records, task
    task.cancel()
    await asyncio.wait([task])


def match(number: int, side: str = "BUY") -> dict[str, str]:
    return {
        "trade_id": str(number),
        "product_id": "BTC-USD",
        "price": "65083.60",
        "size": "0.00000010",
        "time": f"2026-08-09T21:05:4{number}.5Z",
        "side": side,
    }


async def test_subscriptions_are_unsigned_and_for_public_channels(exchange, feed):
    assert exchange.requests == ["/api/v3/brokerage/market/products"]
    assert {message["channel"] for message in exchange.received} == {"heartbeats", "level2", "market_trades"}
    for message in exchange.received:
        assert not message.keys() - {"type", "channel", "product_ids"}
        assert message.get("product_ids", ["BTC-USD"]) == ["BTC-USD"]


async def test_both_sides_of_the_book_with_the_exchanges_digits(exchange, feed):
    records, _ = feed
    await exchange.book("snapshot", ("bid", "65083.60", "0.20371210"), ("offer", "65083.70", "1"))
    await exchange.book("update", ("offer", "65083.70", "0"), ("offer", "65083.71", "0.00000001"))
    await until(lambda: len(records.of("book")) == 2)
    snapshot, delta = records.of("book", "BTC-USD")
    assert snapshot["bids"] == [("65083.60", "0.20371210")] and snapshot["asks"] == [("65083.70", "1")]
    assert delta["asks"] == [("65083.70", "0"), ("65083.71", "0.00000001")] and delta["bids"] == []
    assert [snapshot["exchange_sequence"], delta["exchange_sequence"]] == [0, 1]
    assert delta["exchange_time"] == "2026-08-09T21:05:48.483587501Z"


async def test_trades_come_in_the_order_of_trading_without_the_history(exchange, feed):
    records, _ = feed
    await exchange.emit("market_trades", {"type": "snapshot", "trades": [match(2), match(1)]})
    await exchange.emit("market_trades", {"type": "update", "trades": [match(4, "SELL"), match(3)]})
    await until(lambda: records.of("trade"))
    # The exchange names the maker's side, we the taker's.
    assert [(t["trade_id"], t["side"]) for t in records.of("trade")] == [("3", "sell"), ("4", "buy")]
    assert records.of("trade")[0]["price"] == "65083.60" and records.of("trade")[0]["size"] == "0.00000010"
    assert records.of("trade")[0]["exchange_time"] == "2026-08-09T21:05:43.5Z"


@pytest.mark.parametrize("channel", ["l2_data", "heartbeats", "subscriptions"])
async def test_a_hole_in_the_sequence_of_any_channel_ends_the_connection(exchange, feed, channel):
    records, task = feed
    await exchange.book("snapshot", ("bid", "1", "1"))
    await exchange.emit("heartbeats", {"current_time": "now", "heartbeat_counter": 1})
    await until(lambda: records.of("book"))
    await exchange.emit(channel, skip=1)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 2)
    assert "sequence_num 3 follows 1" in repr(caught.value)


async def test_a_resync_subscribes_that_product_anew(exchange, feed):
    """A missing frame concerns the connection; one book is taken anew when its reader has lost a record."""
    records, task = feed
    snapshot = (("bid", "65083.60", "1"), ("offer", "65083.70", "1"))
    await exchange.book("snapshot", *snapshot)
    await until(lambda: records.of("book"))
    records.gap("BTC-USD", "gap: have 5, got 7 of epoch 1")
    await until(lambda: len(exchange.received) == 4)
    request = {"type": "unsubscribe", "channel": "level2", "product_ids": ["BTC-USD"]}
    assert exchange.received[3] == request
    await exchange.book("update", ("bid", "65083.60", "9"))
    await exchange.emit("subscriptions", {"subscriptions": {"level2": ["BTC-USD"], "heartbeats": None}})
    await exchange.emit("subscriptions", {"subscriptions": {"heartbeats": ["heartbeats"]}})
    await until(lambda: len(exchange.received) == 5)
    assert exchange.received[4] == request | {"type": "subscribe"}
    await exchange.book("update", ("bid", "65083.60", "8"))
    await exchange.book("snapshot", ("bid", "65083.50", "2"), ("offer", "65083.70", "3"))
    await exchange.book("update", ("bid", "65083.50", "4"))
    await until(lambda: len(records.of("book")) == 3)
    assert [record["snapshot"] for record in records.of("book")] == [True, True, False]
    assert records.books["BTC-USD"] == ({"65083.50": "4"}, {"65083.70": "3"})
    assert not records.strays and not task.done()


async def test_an_error_frame_is_the_reason(exchange, feed):
    _, task = feed
    await exchange.send({"type": "error", "message": "too many subscriptions"})
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 2)
    assert "coinbase answered: too many subscriptions" in repr(caught.value)


async def test_an_unusable_frame_ends_the_connection_with_the_frame_in_the_reason(exchange, feed):
    _, task = feed
    await exchange.send('{"channel":"l2_data","sequence_num":0,"events":[{"type":"update"}]}')
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 2)
    assert "unusable frame" in repr(caught.value) and "l2_data" in repr(caught.value)
