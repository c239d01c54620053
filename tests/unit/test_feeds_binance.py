"""Binance's source against a scripted server with Binance's own protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from feed_server import FeedServer, Records, until

from tradeflow.feeds import binance as module
from tradeflow.feeds import instruments
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.snapshot_budget import SnapshotBudget
from tradeflow.feeds.source import FeedError
from tradeflow.settings import Settings

INFO = {
    "symbols": [
        {
            "symbol": base + "USDT",
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": "USDT",
            "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}],
        }
        for base in ("BTC", "ETH")
    ]
}


class Exchange(FeedServer):
    """One depth snapshot a symbol, changeable; updates are sent by the test."""

    def __init__(self) -> None:
        super().__init__({"/api/v3/exchangeInfo": INFO, "/api/v3/depth": self._depth})
        self.depth = {
            "BTCUSDT": {
                "lastUpdateId": 100,
                "bids": [["100.10000000", "1.00000000"], ["100.00000000", "0.00000001"]],
                "asks": [["100.20000000", "2.50000000"]],
            },
            "ETHUSDT": {"lastUpdateId": 7, "bids": [["10.00", "1"]], "asks": [["10.01", "1"]]},
        }

    async def _depth(self, request: web.Request) -> web.Response:
        return web.json_response(self.depth[request.query["symbol"]])

    def settings(self) -> Settings:
        return Settings(binance_rest_url=self.http, binance_ws_url=self.ws)

    async def update(
        self, symbol: str, first: int, last: int, bids: Any = (), asks: Any = (), kind: str = "depthUpdate"
    ) -> None:
        await self.send(
            {
                "stream": f"{symbol.lower()}@depth@100ms",
                "data": {
                    "e": kind,
                    "E": 1633998511123,
                    "s": symbol,
                    "U": first,
                    "u": last,
                    "b": list(bids),
                    "a": list(asks),
                },
            }
        )


@pytest.fixture
async def exchange():
    module.budget = SnapshotBudget()
    async with Exchange() as server:
        yield server
        instruments._loaded.pop(("BINANCE", server.http), None)


@pytest.fixture
async def records(exchange):
    sink = Records()
    source = make_source("binance", ["BTC-USDT", "ETH-USDT"], exchange.settings())
    sink.resync = source.resync
    task = asyncio.create_task(source.run(sink))
    await until(lambda: len(sink.of("book")) == 2 or task.done())
    yield sink
    task.cancel()
    await asyncio.wait([task])


async def test_snapshots_come_before_any_update(exchange, records):
    snapshot = records.of("book", "BTC-USDT")[0]
    assert snapshot["snapshot"] and snapshot["exchange_sequence"] == 100
    assert snapshot["bids"] == [("100.10000000", "1.00000000"), ("100.00000000", "0.00000001")]
    assert snapshot["asks"] == [("100.20000000", "2.50000000")]


async def test_updates_and_trades_keep_the_exchanges_digits(exchange, records):
    await exchange.update(
        "BTCUSDT", 99, 101, [["100.10000000", "0.00000000"]], [["100.15000000", "1.23000000"]]
    )
    await exchange.send(
        {
            "stream": "btcusdt@aggTrade",
            "data": {
                "e": "aggTrade",
                "E": 1633998511125,
                "s": "BTCUSDT",
                "a": 12345,
                "p": "100.15000000",
                "q": "0.00001000",
                "f": 1,
                "l": 2,
                "T": 1633998511124,
                "m": True,
                "M": True,
            },
        }
    )
    await until(lambda: records.of("trade"))
    delta = records.of("book", "BTC-USDT")[1]
    assert not delta["snapshot"] and delta["exchange_sequence"] == 101
    assert float(delta["bids"][0][1]) == 0 and delta["bids"][0][0] == "100.10000000"
    assert delta["asks"] == [("100.15000000", "1.23000000")]
    assert delta["exchange_time"] == 1633998511.123
    trade = records.of("trade", "BTC-USDT")[0]
    assert (trade["side"], trade["price"], trade["size"]) == ("sell", "100.15000000", "0.00001000")
    assert (trade["trade_id"], trade["exchange_time"]) == ("12345", 1633998511.124)
    assert delta["receipt_time"] <= trade["receipt_time"]


async def test_old_updates_are_skipped(exchange, records):
    await exchange.update("BTCUSDT", 90, 100, [["100.10000000", "0"]])
    await exchange.update("BTCUSDT", 101, 101, [["99", "1"]])
    await until(lambda: len(records.of("book", "BTC-USDT")) == 2)
    assert records.books["BTC-USDT"][0].keys() == {"100.10000000", "100.00000000", "99"}


async def test_a_gap_becomes_a_new_snapshot_of_that_book_alone(exchange, records):
    exchange.depth["BTCUSDT"] = {"lastUpdateId": 110, "bids": [["101", "1"]], "asks": [["102", "1"]]}
    await exchange.update("BTCUSDT", 105, 111, [["101.5", "3"]])
    await until(lambda: len(records.of("book", "BTC-USDT")) == 3)
    assert records.of("gap") == [{"reason": "updates 101 to 104 are missing"}]
    _, snapshot, delta = records.of("book", "BTC-USDT")
    assert snapshot["snapshot"] and snapshot["exchange_sequence"] == 110
    assert delta["bids"] == [("101.5", "3")] and delta["exchange_sequence"] == 111
    assert len(records.of("book", "ETH-USDT")) == 1


async def test_while_a_snapshot_is_awaited_the_other_books_go_on(exchange, records):
    """Its updates are kept and continue it, those that it contains are skipped, a further gap counts again."""
    answer = asyncio.Event()
    depth = exchange.rest["/api/v3/depth"]

    async def slow(request: web.Request) -> web.Response:
        await answer.wait()
        return await depth(request)

    exchange.rest["/api/v3/depth"] = slow
    await exchange.update("BTCUSDT", 105, 111, [["101.5", "3"]])
    await until(lambda: exchange.requests[-1].startswith("/api/v3/depth?symbol=BTCUSDT"))
    await exchange.update("BTCUSDT", 112, 113, [["101.5", "4"]])
    await exchange.update("ETHUSDT", 8, 8, [["10.00", "2"]])
    await until(lambda: len(records.of("book", "ETH-USDT")) == 2)
    await exchange.update("BTCUSDT", 114, 114, [["101.5", "5"]])
    await exchange.update("BTCUSDT", 116, 116, [["101.5", "6"]])
    assert len(records.of("book", "BTC-USDT")) == 1
    exchange.depth["BTCUSDT"] = {"lastUpdateId": 112, "bids": [["101", "1"]], "asks": [["102", "1"]]}
    answer.set()
    await until(lambda: len(records.of("gap")) == 2)
    assert [r["exchange_sequence"] for r in records.of("book", "BTC-USDT")] == [100, 112, 113, 114]
    assert records.of("gap")[1] == {"reason": "updates 115 to 115 are missing"}
    exchange.depth["BTCUSDT"]["lastUpdateId"] = 115
    await until(lambda: len(records.of("book", "BTC-USDT")) == 6)
    assert [r["exchange_sequence"] for r in records.of("book", "BTC-USDT")][-2:] == [115, 116]
    assert records.books["BTC-USDT"][0] == {"101": "1", "101.5": "6"}


async def test_a_book_waits_for_a_rest_that_fails_and_the_others_stay(exchange, records):
    answers = [429, 500, 200]
    depth = exchange.rest["/api/v3/depth"]

    async def failing(request: web.Request) -> web.Response:
        if (status := answers.pop(0)) == 200:
            return await depth(request)
        return web.Response(status=status, headers={"Retry-After": "1"})

    exchange.rest["/api/v3/depth"] = failing
    exchange.depth["BTCUSDT"]["lastUpdateId"] = 110
    await exchange.update("BTCUSDT", 105, 111, [["101.5", "3"]])
    await until(lambda: answers == [500, 200])
    await asyncio.sleep(0.5)
    assert answers == [500, 200], "the exchange asked for a second without requests"
    await exchange.update("ETHUSDT", 8, 8, [["10.00", "2"]])
    await until(lambda: len(records.of("book", "ETH-USDT")) == 2)
    await until(lambda: len(records.of("book", "BTC-USDT")) == 3)
    assert [r["exchange_sequence"] for r in records.of("book", "BTC-USDT")] == [100, 110, 111]


async def test_a_resync_without_any_update_takes_no_older_snapshot(exchange, records):
    exchange.depth["BTCUSDT"]["lastUpdateId"] = 99
    records.gap("BTC-USDT", "crossed: bid 2 is not below ask 1")
    await until(lambda: sum("BTCUSDT" in path for path in exchange.requests) == 3)
    assert len(records.of("book", "BTC-USDT")) == 1
    exchange.depth["BTCUSDT"]["lastUpdateId"] = 100
    await until(lambda: len(records.of("book", "BTC-USDT")) == 2)


async def test_a_gap_that_snapshots_cannot_close_ends_the_connection(exchange):
    sink = Records()
    source = make_source("binance", ["BTC-USDT"], exchange.settings())
    sink.resync = source.resync
    task = asyncio.create_task(source.run(sink))
    await until(lambda: sink.of("book"))
    await exchange.update("BTCUSDT", 105, 111)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 5)
    assert "5 snapshots were older than update 104" in repr(caught.value.exceptions)


async def test_what_is_no_update_in_a_books_stream_ends_the_connection(exchange):
    sink = Records()
    source = make_source("binance", ["BTC-USDT"], exchange.settings())
    task = asyncio.create_task(source.run(sink))
    await until(lambda: sink.of("book"))
    await exchange.update("BTCUSDT", 101, 101, [["99", "1"]], kind="depthUpd5te")
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 5)
    assert "depthUpd5te" in repr(caught.value.exceptions)
    assert len(sink.of("book")) == 1


async def test_a_price_that_leaves_what_the_snapshot_knew_takes_a_new_one(exchange):
    exchange.depth["BTCUSDT"] = {
        "lastUpdateId": 1,
        "bids": [[str(5000 - n), "1"] for n in range(1000)],
        "asks": [["5001", "1"]],
    }
    sink = Records()
    task = asyncio.create_task(make_source("binance", ["BTC-USDT"], exchange.settings()).run(sink))
    await until(lambda: sink.of("book"))
    await exchange.update("BTCUSDT", 2, 2, [[str(5000 - n), "0"] for n in range(900)])
    await until(lambda: len(sink.of("book")) == 2)
    exchange.depth["BTCUSDT"]["lastUpdateId"] = 3
    await exchange.update("BTCUSDT", 3, 3, [["4100", "0"], ["4000", "1"]])
    await until(lambda: len(sink.of("book")) == 4)
    assert [event["snapshot"] for event in sink.of("book")] == [True, False, False, True]
    task.cancel()
    await asyncio.wait([task])


async def test_a_live_book_waits_only_briefly_for_a_snapshot_that_is_just_wider(exchange, monkeypatch):
    monkeypatch.setattr(module, "REFRESH_PATIENCE", 0.3)
    exchange.depth["BTCUSDT"] = {
        "lastUpdateId": 1,
        "bids": [[str(5000 - n), "1"] for n in range(1000)],
        "asks": [["5001", "1"]],
    }
    sink = Records()
    task = asyncio.create_task(make_source("binance", ["BTC-USDT"], exchange.settings()).run(sink))
    await until(lambda: sink.of("book"))

    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    exchange.rest["/api/v3/depth"] = never
    asked = len(exchange.requests)
    await exchange.update("BTCUSDT", 2, 2, [[str(5000 - n), "0"] for n in range(950)])
    await until(lambda: len(exchange.requests) > asked)
    await exchange.update("BTCUSDT", 3, 3, [["4040", "0"]])
    await asyncio.sleep(0.1)
    assert len(sink.of("book")) == 2, "what comes meanwhile waits"
    await until(lambda: len(sink.of("book")) == 3, 1)
    asked = len(exchange.requests)
    await exchange.update("BTCUSDT", 4, 4, [["4030", "0"]])
    await until(lambda: len(sink.of("book")) == 4, 0.2)
    assert len(exchange.requests) == asked, "not again at once"
    assert [event["snapshot"] for event in sink.of("book")] == [True, False, False, False]
    assert not sink.of("gap") and not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_a_ban_is_respected(exchange):
    async def banned(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "30"})

    exchange.rest["/api/v3/depth"] = banned
    source = make_source("binance", ["BTC-USDT"], exchange.settings())
    for _ in range(3):
        with pytest.raises(ExceptionGroup):
            await source.run(Records())
    assert sum("/depth" in path for path in exchange.requests) == 1
    assert 29 < module.budget.wait() <= 30


async def test_an_unknown_symbol_is_reported_and_the_others_run(exchange):
    sink = Records()
    task = asyncio.create_task(make_source("binance", ["BTC-USDT", "NO-COIN"], exchange.settings()).run(sink))
    await until(lambda: sink.of("book"))
    assert sink.of("unavailable", "NO-COIN") == [{"reason": "binance doesn't list NO-COIN"}]
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(FeedError, match="binance lists none of NO-COIN"):
        await make_source("binance", ["NO-COIN"], exchange.settings()).run(Records())


async def test_instruments_are_read_once_and_an_old_copy_serves_in_need(exchange, monkeypatch):
    async def connect() -> None:
        sink = Records()
        task = asyncio.create_task(make_source("binance", ["BTC-USDT"], exchange.settings()).run(sink))
        await until(lambda: sink.of("book") or task.done())
        task.cancel()
        await asyncio.wait([task])
        assert sink.of("book")

    def requests() -> int:
        return exchange.requests.count("/api/v3/exchangeInfo")

    await connect()
    await connect()
    assert requests() == 1
    monkeypatch.setattr(instruments, "INSTRUMENTS_AGE", 0.0)
    await connect()
    assert requests() == 2
    del exchange.rest["/api/v3/exchangeInfo"]
    await connect()
    assert requests() == 3
    instruments._loaded.clear()
    with pytest.raises(FeedError, match=r"can't read the instruments at http://127\.0\.0\.1:.*404"):
        await make_source("binance", ["BTC-USDT"], exchange.settings()).run(Records())


async def test_budget_is_a_burst_then_one_a_second():
    budget = SnapshotBudget(burst=3, per_second=10, patience=0.25)
    for _ in range(3):
        assert budget.wait() == 0
        await budget.take()
    assert 0.05 < budget.wait() <= 0.1
    await budget.take()
    budget.block(1)
    with pytest.raises(FeedError, match="no REST snapshot allowed for another 1 s"):
        await budget.take()
