"""Each simulated exchange, followed by a plain client of its protocol, against the simulator's truth."""

from __future__ import annotations

import asyncio
import calendar
import re
import time
from collections import Counter
from decimal import Decimal

import aiohttp
import pytest
from simulator_clients import (
    BinanceClient,
    BitmexClient,
    CoinbaseClient,
    KrakenClient,
    Protocol,
    canonical,
)

from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator

NAMES = {
    "binance": ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT"],
    "bitmex": ["XBTUSD", "ETHUSD", "SOLUSD"],
    "coinbase": ["BTC-USD", "BTC-USDT", "ETH-USDT", "SOL-USDT"],
    "kraken": ["BTC/USD", "BTC/USDT", "ETH/USDT", "SOL/USDT"],
}
SYMBOLS = {i.name: i.symbol for i in listed()}


def nanoseconds(text: str) -> int:
    """Of milliseconds since the epoch, or RFC 3339 in UTC."""
    if text.isdigit():
        return int(text) * 1_000_000
    moment, fraction = re.fullmatch(r"(.{19})(?:\.(\d{1,9}))?Z", text).groups()
    seconds = calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


async def follow(
    simulator: Simulator, exchange: str, client: Protocol, comparisons: int, depth=None
) -> Counter:
    """Compare the client's book with the truth after each of many book frames; the number of those a book."""
    compared: Counter[str] = Counter()
    last_time: dict[str, int] = {}
    async with aiohttp.ClientSession() as session:
        socket = await client.connect(session, simulator.endpoints, NAMES[exchange])
        while compared.total() < comparisons:
            told = client.feed(await client.next_frame(socket))
            if told is None:
                continue
            name, sequence, stamp = told
            at = nanoseconds(stamp)
            assert at > last_time.get(name, 0), "times of a book must grow"
            last_time[name] = at
            version = {"sequence": sequence} if sequence is not None else {"time": at}
            truth = simulator.truth(exchange, SYMBOLS[name], depth=depth, **version)
            bids, asks = client.books[name].sorted()
            assert (bids, asks) == (truth["bids"], truth["asks"]), f"{name} {version}"
            assert truth["time"] == at
            assert depth or min(len(bids), len(asks)) > 20
            compared[name] += 1
    return compared


@pytest.mark.parametrize(
    ("exchange", "client"),
    [
        ("binance", BinanceClient),
        ("bitmex", BitmexClient),
        ("coinbase", CoinbaseClient),
        ("kraken", KrakenClient),
    ],
)
async def test_book_equals_the_truth_after_every_frame(exchange, client):
    protocol = client()
    async with Simulator(Market(listed([exchange]), rate=1500, depth=60)) as simulator:
        compared = await asyncio.wait_for(follow(simulator, exchange, protocol, 400), 60)
    assert set(compared) == set(NAMES[exchange])
    assert len(protocol.trades) > 20


@pytest.mark.parametrize("depth", [10, 25])
async def test_kraken_subscription_of_limited_depth(depth):
    protocol = KrakenClient(depth)
    async with Simulator(Market(listed(["kraken"]), rate=1500, depth=60)) as simulator:
        compared = await asyncio.wait_for(follow(simulator, "kraken", protocol, 400, depth), 60)
    assert protocol.checksums >= compared.total()


async def test_a_trade_takes_from_the_book_what_it_prints():
    """Coinbase sends the trades of an update just before it; its side is the maker's."""
    client = CoinbaseClient()
    checked = 0
    market = Market(listed(["coinbase"]), rate=1500, depth=60)
    async with Simulator(market) as simulator, aiohttp.ClientSession() as session:
        socket = await client.connect(session, simulator.endpoints, NAMES["coinbase"])
        while checked < 40:
            frame = await client.next_frame(socket)
            client.trades.clear()
            client.feed(frame)
            if not client.trades:
                continue
            name = client.trades[0]["product_id"]
            if name not in client.books:
                continue
            book = client.books[name]
            expected = {}
            for trade in client.trades:
                side = book.asks if trade["side"] == "SELL" else book.bids
                expected[trade["side"], canonical(trade["price"])] = format(
                    Decimal(side[canonical(trade["price"])]) - Decimal(trade["size"]), "f"
                )
            update = await client.next_frame(socket)
            client.feed(update)
            for (maker, price), left in expected.items():
                side = book.asks if maker == "SELL" else book.bids
                assert Decimal(side.get(price, "0")) == Decimal(left)
                checked += 1


async def test_heartbeats_come_every_second():
    coinbase, kraken = CoinbaseClient(), KrakenClient()
    market = Market(listed(["coinbase", "kraken"]), rate=5, depth=20)
    async with Simulator(market) as simulator, aiohttp.ClientSession() as session:
        for client, names in ((coinbase, ["BTC-USD"]), (kraken, ["BTC/USD"])):
            socket = await client.connect(session, simulator.endpoints, names)
            async with asyncio.timeout(10):
                while client.heartbeats < 2:
                    client.feed(await client.next_frame(socket))


async def test_requests_that_an_exchange_refuses():
    async with (
        Simulator(Market(listed(), rate=100, depth=20)) as simulator,
        aiohttp.ClientSession() as session,
    ):
        urls = simulator.endpoints
        async with session.get(f"{urls['TRADEFLOW_BINANCE_REST_URL']}/api/v3/depth?symbol=NOPE") as response:
            assert response.status == 400
            assert (await response.json())["code"] == -1121

        socket = await session.ws_connect(urls["TRADEFLOW_KRAKEN_WS_URL"])
        status = await socket.receive_json()
        assert status["data"][0]["system"] == "online"
        await socket.send_json({"method": "ping", "req_id": 3})
        pong = await socket.receive_json()
        assert (pong["method"], pong["req_id"]) == ("pong", 3)
        params = {"channel": "book", "symbol": ["NO/PE"], "depth": 10}
        await socket.send_json({"method": "subscribe", "params": params})
        assert (await socket.receive_json())["error"] == "Currency pair not supported NO/PE"
        params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 11}
        await socket.send_json({"method": "subscribe", "params": params})
        assert (await socket.receive_json())["success"] is False
        params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10, "snapshot": False}
        await socket.send_json({"method": "unsubscribe", "params": params})
        assert (await socket.receive_json())["error"] == "Subscription Not Found"
        await socket.send_json({"method": "subscribe", "params": params})
        assert (await socket.receive_json())["success"] is True
        await socket.send_json({"method": "subscribe", "params": params})
        answers = [await socket.receive_json() for _ in range(20)]
        assert [a["error"] for a in answers if a.get("success") is False] == ["Already subscribed"]

        socket = await session.ws_connect(urls["TRADEFLOW_BITMEX_WS_URL"])
        assert "Welcome" in (await socket.receive_json())["info"]
        await socket.send_str("ping")
        assert await socket.receive_str() == "pong"
        await socket.send_json({"op": "subscribe", "args": ["orderBookL2:NOPE"]})
        assert (await socket.receive_json())["status"] == 400
        await socket.send_json({"op": "unsubscribe", "args": ["orderBookL2:XBTUSD"]})
        assert "You are not subscribed" in (await socket.receive_json())["error"]

        socket = await session.ws_connect(urls["TRADEFLOW_COINBASE_WS_URL"])
        await socket.send_json({"type": "subscribe", "channel": "level2", "product_ids": ["NO-PE"]})
        assert (await socket.receive_json())["type"] == "error"
