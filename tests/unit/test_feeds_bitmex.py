"""BitMEX: levels by id, books anew at each partial; against a scripted server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from feed_server import FeedServer, Records, until

from tradeflow.feeds.bitmex import BitmexFeed
from tradeflow.feeds.instruments import _loaded
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.rotation import Rotation
from tradeflow.settings import Settings

INSTRUMENTS = [
    {
        "symbol": "XBTUSD",
        "rootSymbol": "XBT",
        "quoteCurrency": "USD",
        "typ": "FFWCSX",
        "tickSize": 0.5,
        "isQuanto": False,
        "expiry": None,
    }
]


def table(action: str, *rows: dict[str, Any], name: str = "orderBookL2") -> dict[str, Any]:
    return {"table": name, "action": action, "data": [{"symbol": "XBTUSD", **row} for row in rows]}


def level(number: int, side: str, *, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {"id": number, "side": side, "timestamp": f"2026-01-01T10:00:0{second}.123Z", **fields}


PARTIAL = table(
    "partial",
    level(1, "Sell", second=3, size=100, price=30000.5),
    level(2, "Buy", second=1, size=200, price=30000),
)


@pytest.fixture
async def exchange():
    async with FeedServer({"/api/v1/instrument/active": INSTRUMENTS}) as server:
        yield server
        _loaded.pop(("BITMEX", server.http), None)


@contextlib.asynccontextmanager
async def running(exchange: FeedServer) -> AsyncIterator[Records]:
    records = Records()
    settings = Settings(bitmex_rest_url=exchange.http, bitmex_ws_url=f"{exchange.ws}/realtime")
    source = make_source("bitmex", ["BTC-USD-PERP"], settings)
    records.resync = source.resync
    task = asyncio.create_task(source.run(records))
    await until(lambda: exchange.received or task.done())
    await exchange.send(PARTIAL)
    await until(lambda: records.of("book"))
    yield records
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def feed(exchange):
    async with running(exchange) as records:
        yield records


async def test_levels_are_found_by_id(exchange, feed):
    assert sorted(exchange.received[0]["args"]) == ["orderBookL2:XBTUSD", "trade:XBTUSD"]
    await exchange.send(table("update", level(1, "Sell", second=4, size=150)))
    await exchange.send(table("insert", level(3, "Buy", second=5, size=7, price=29999.5)))
    await exchange.send(table("delete", level(2, "Buy", second=6)))
    await until(lambda: len(feed.of("book")) == 4)
    snapshot, update, insert, delete = feed.of("book", "BTC-USD-PERP")
    assert snapshot["bids"] == [("30000", "200")] and snapshot["asks"] == [("30000.5", "100")]
    assert update["asks"] == [("30000.5", "150")]
    assert insert["bids"] == [("29999.5", "7")]
    assert delete["bids"] == [("30000", "0")]
    assert feed.books["BTC-USD-PERP"] == ({"29999.5": "7"}, {"30000.5": "150"})
    assert snapshot["exchange_time"] == "2026-01-01T10:00:03.123Z", "the latest change in the frame"


async def test_a_second_partial_replaces_the_book(exchange, feed):
    await exchange.send(table("partial", level(9, "Buy", size=1, price=29000)))
    await until(lambda: len(feed.of("book")) == 2)
    assert feed.of("book")[1]["snapshot"] and feed.books["BTC-USD-PERP"] == ({"29000": "1"}, {})


async def test_a_row_of_a_book_that_is_not_subscribed_ends_the_connection(exchange):
    """A garbled name: the row was one of our books', whose level would stay for ever."""
    records = Records()
    settings = Settings(bitmex_rest_url=exchange.http, bitmex_ws_url=f"{exchange.ws}/realtime")
    task = asyncio.create_task(make_source("bitmex", ["BTC-USD-PERP"], settings).run(records))
    await until(lambda: exchange.received)
    await exchange.send(PARTIAL)
    await until(lambda: records.of("book"))
    await exchange.send(table("delete", level(2, "Buy", symbol="XBTUSE")))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 5)
    assert "delete of a book that isn't subscribed: 'XBTUSE'" in repr(caught.value.exceptions)
    assert len(records.of("book")) == 1


UNSUBSCRIBED = {
    "success": True,
    "unsubscribe": "orderBookL2:XBTUSD",
    "request": {"op": "unsubscribe", "args": ["orderBookL2:XBTUSD"]},
}


@pytest.mark.parametrize(
    ("action", "row", "reason"),
    [
        ("update", level(7, "Buy", size=5), "update of level 7, which is unknown"),
        ("delete", level(1, "Buy"), "delete of level 1, which is unknown"),
        ("insert", level(2, "Buy", size=5, price=30000), "insert of level 2, which is known"),
    ],
)
async def test_an_update_that_contradicts_the_levels_makes_a_new_subscription(
    exchange, feed, action, row, reason
):
    """Of that book alone; what is still on its way from the old one may not get onto the new partial."""
    await exchange.send(table(action, row))
    await until(lambda: len(exchange.received) == 2)
    assert feed.of("gap", "BTC-USD-PERP") == [{"reason": reason}] and len(feed.of("book")) == 1
    assert exchange.received[1] == {"op": "unsubscribe", "args": ["orderBookL2:XBTUSD"]}
    await exchange.send(table("update", level(1, "Sell", size=150)))
    await exchange.send(UNSUBSCRIBED)
    await until(lambda: len(exchange.received) == 3)
    assert exchange.received[2] == {"op": "subscribe", "args": ["orderBookL2:XBTUSD"]}
    await exchange.send(table("update", level(1, "Sell", size=151)))
    await exchange.send(PARTIAL)
    await exchange.send(table("update", level(1, "Sell", size=152)))
    await until(lambda: len(feed.of("book")) == 3)
    assert [record["snapshot"] for record in feed.of("book")] == [True, True, False]
    assert feed.books["BTC-USD-PERP"] == ({"30000": "200"}, {"30000.5": "152"})
    assert len(feed.of("gap")) == 1 and not feed.strays


async def test_books_are_taken_anew_from_time_to_time(exchange, monkeypatch):
    monkeypatch.setattr(BitmexFeed, "refresh_seconds", 0.3)
    async with running(exchange):
        await asyncio.sleep(0.35)
        await exchange.send(table("update", level(1, "Sell", size=150)))
        await until(lambda: len(exchange.received) == 2)
        await exchange.send(UNSUBSCRIBED)
        await until(lambda: len(exchange.received) == 3)
        assert exchange.received[1:] == [
            {"op": "unsubscribe", "args": ["orderBookL2:XBTUSD"]},
            {"op": "subscribe", "args": ["orderBookL2:XBTUSD"]},
        ]
        await exchange.send(table("update", level(1, "Sell", size=151)))
        await asyncio.sleep(0.1)
        assert len(exchange.received) == 3, "not again before its time"


def test_each_has_its_turn_in_order():
    rotation = Rotation(["a", "b", "c"], 0.0)
    assert [rotation.due() for _ in range(5)] == ["a", "b", "c", "a", "b"]
    assert Rotation(["a"], 60.0).due() is None
    assert Rotation([], 0.0).due() is None


async def test_trades_keep_id_digits_and_time(exchange, feed):
    await exchange.send(
        '{"table":"trade","action":"insert","data":[{"timestamp":"2026-01-01T10:00:00.123Z",'
        '"symbol":"XBTUSD","side":"Sell","size":100,"price":30000.50,"trdMatchID":"8f8fe9db"}]}'
    )
    (trade,) = await until(lambda: feed.of("trade"))
    assert (trade["side"], trade["price"], trade["size"]) == ("sell", "30000.50", "100")
    assert trade["trade_id"] == "8f8fe9db"
    assert trade["exchange_time"] == "2026-01-01T10:00:00.123000+00:00"


async def test_an_insert_where_there_is_a_level_is_a_gap(exchange, feed):
    await exchange.send(table("insert", level(7, "Buy", size=5, price=30000)))
    await until(lambda: feed.of("gap"))
    assert feed.of("gap") == [{"reason": "insert of level 7 at 30000, where there is one"}]
    assert len(feed.of("book")) == 1
