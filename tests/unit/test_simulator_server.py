"""Faults on demand, the truth over HTTP, and the simulator as a process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest
from simulator_clients import BinanceClient, BitmexClient, CoinbaseClient, GapError, KrakenClient

from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator


@pytest.fixture
async def simulator():
    async with Simulator(Market(listed(symbols=["BTC-USDT", "BTC-USD-PERP"]), rate=400, depth=40)) as running:
        yield running


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as client:
        yield client


async def post(session: aiohttp.ClientSession, simulator: Simulator, path: str) -> int:
    async with session.post(f"{simulator.url}/control/{path}") as response:
        return response.status


async def test_drop_cuts_the_connections_of_one_exchange(simulator, session):
    binance, kraken = BinanceClient(), KrakenClient()
    cut = await binance.connect(session, simulator.endpoints, ["BTCUSDT"])
    kept = await kraken.connect(session, simulator.endpoints, ["BTC/USDT"])
    assert await post(session, simulator, "binance/drop") == 200
    async with asyncio.timeout(5):
        while (message := await cut.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    # 1006: without a closing handshake.
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert cut.close_code == 1006
    for _ in range(20):
        kraken.feed(await kraken.next_frame(kept))
    await binance.connect(session, simulator.endpoints, ["BTCUSDT"])  # reconnecting is allowed


async def test_refuse_answers_503_until_accept(simulator, session):
    url = f"{simulator.endpoints['TRADEFLOW_BITMEX_REST_URL']}/api/v1/instrument/active"
    assert await post(session, simulator, "bitmex/refuse") == 200
    async with session.get(url) as response:
        assert response.status == 503
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await BitmexClient().connect(session, simulator.endpoints, ["XBTUSD"])
    assert await post(session, simulator, "bitmex/accept") == 200
    await BitmexClient().connect(session, simulator.endpoints, ["XBTUSD"])


async def test_pause_is_silent_and_resume_loses_nothing(simulator, session):
    client = CoinbaseClient()
    socket = await client.connect(session, simulator.endpoints, ["BTC-USDT"])
    while not client.books:
        client.feed(await client.next_frame(socket))
    simulator.venues["coinbase"].pause()
    with pytest.raises(TimeoutError):
        while True:  # what was on its way
            client.feed(await asyncio.wait_for(client.next_frame(socket), 0.5))
    simulator.venues["coinbase"].resume()
    for _ in range(50):
        client.feed(await client.next_frame(socket))  # which demands contiguous numbers


@pytest.mark.parametrize(
    ("client", "name"), [(BinanceClient, "BTCUSDT"), (CoinbaseClient, "BTC-USDT"), (KrakenClient, "BTC/USDT")]
)
async def test_a_skipped_frame_shows_as_the_exchange_would_show_it(simulator, session, client, name):
    """By update ids at Binance, by the connection's numbers at Coinbase, by the checksum at Kraken."""
    protocol = client()
    socket = await protocol.connect(session, simulator.endpoints, [name])
    while not protocol.books:
        protocol.feed(await protocol.next_frame(socket))
    with pytest.raises(GapError):
        async with asyncio.timeout(20):
            while True:
                assert await post(session, simulator, f"{protocol_exchange(client)}/skip/BTC-USDT") == 200
                for _ in range(20):
                    protocol.feed(await protocol.next_frame(socket))


def protocol_exchange(client: type) -> str:
    return client.__name__.removesuffix("Client").lower()


async def test_a_muted_book_is_not_told_of_and_the_others_are(session):
    """Nor does it cost numbers of the connection: the client would see those missing."""
    protocol = CoinbaseClient()
    async with Simulator(Market(listed(symbols=["BTC-USDT", "ETH-USDT"]), rate=400, depth=40)) as simulator:
        assert await post(session, simulator, "coinbase/mute/BTC-USDT") == 200
        socket = await protocol.connect(session, simulator.endpoints, ["BTC-USDT", "ETH-USDT"])
        for _ in range(100):
            protocol.feed(await protocol.next_frame(socket))
        assert set(protocol.books) == {"ETH-USDT"}
        url = f"{simulator.endpoints['TRADEFLOW_BINANCE_REST_URL']}/api/v3/depth?symbol=BTCUSDT"
        for fault, status in (("mute", 503), ("unmute", 200)):
            assert await post(session, simulator, f"binance/{fault}/BTC-USDT") == 200
            async with session.get(url) as response:
                assert response.status == status
        assert await post(session, simulator, "coinbase/unmute/BTC-USDT") == 200
        request = {"channel": "level2", "product_ids": ["BTC-USDT"]}
        await socket.send_json({"type": "unsubscribe", **request})
        await socket.send_json({"type": "subscribe", **request})
        while "BTC-USDT" not in protocol.books:
            with contextlib.suppress(KeyError):  # an update of the old subscription, which had no snapshot
                protocol.feed(await protocol.next_frame(socket))


async def test_unknown_controls_say_what_there_is(simulator, session):
    for path, error in (
        ("ftx/drop", "no exchange ftx; there are"),
        ("binance/explode", "pause, resume, hang_up, skip/SYMBOL, repeat/SYMBOL"),
        ("binance/skip/NO-PE", "binance lists no NO-PE"),
        ("binance/mute/NO-PE", "binance lists no NO-PE"),
    ):
        async with session.post(f"{simulator.url}/control/{path}") as response:
            assert response.status == 404
            assert error in (await response.json())["error"]


async def test_truth_over_http(simulator, session):
    async with session.get(f"{simulator.url}/truth/binance/BTC-USDT?depth=5") as response:
        now = await response.json()
    assert [len(now["bids"]), len(now["asks"])] == [5, 5]
    query = f"sequence={now['sequence']}&depth=5"
    async with session.get(f"{simulator.url}/truth/binance/BTC-USDT?{query}") as response:
        assert await response.json() == now
    async with session.get(
        f"{simulator.url}/truth/binance/BTC-USDT?time={now['time'] + 400_000}&depth=5"
    ) as response:
        assert await response.json() == now  # rounded to Binance's milliseconds
    for path, status, error in (
        ("binance/NO-PE", 404, "no book binance/NO-PE; there are binance/BTC-USDT"),
        ("binance/BTC-USDT?sequence=5", 404, "sequence 5 is not in the history: it holds sequences"),
        ("binance/BTC-USDT?time=x", 400, "are integers"),
    ):
        async with session.get(f"{simulator.url}/truth/{path}") as response:
            assert response.status == status
            assert error in (await response.json())["error"]
    async with session.get(f"{simulator.url}/truth") as response:
        books = {(b["exchange"], b["symbol"]): b for b in await response.json()}
    assert set(books) == set(simulator.market.books)
    assert books["binance", "BTC-USDT"]["sequence"][1] >= now["sequence"]


async def test_stats_count_what_was_sent(simulator, session):
    client = BinanceClient()
    socket = await client.connect(session, simulator.endpoints, ["BTCUSDT"])
    received = 0
    while received < 50:
        client.feed(await client.next_frame(socket))
        received += 1
    async with session.get(f"{simulator.url}/stats") as response:
        stats = await response.json()
    assert stats["exchanges"]["binance"]["connections"] == 1
    assert stats["exchanges"]["binance"]["frames"] >= 50
    assert stats["exchanges"]["kraken"] | {"updates": 0, "trades": 0} == {
        "updates": 0,
        "trades": 0,
        "frames": 0,
        "connections": 0,
    }
    assert stats["steps"] > 50


async def test_keeps_its_rate(session):
    async with Simulator(Market(rate=1000, depth=40)) as simulator:
        steps = simulator.market.steps
        await asyncio.sleep(1.5)
        assert 1100 < simulator.market.steps - steps < 1700


def test_taken_port_is_a_clear_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "tradeflow.simulator", "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert ended.returncode == 1
    assert f"port {port} is taken: choose another --port, or 0 for any free one" in ended.stderr


def test_unknown_symbol_is_a_clear_error():
    ended = subprocess.run(
        [sys.executable, "-m", "tradeflow.simulator", "--symbols", "DOGE-USDT"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "no simulator lists symbol DOGE-USDT; there are ADA-USDT" in ended.stderr


def test_process_prints_its_endpoints_and_ends_on_a_signal():
    process = subprocess.Popen(
        [sys.executable, "-m", "tradeflow.simulator", "--symbols", "BTC-USDT,BTC-USD-PERP", "--rate", "10"],
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = {}
    while "TRADEFLOW_SIMULATOR_URL" not in lines:
        name, _, url = process.stdout.readline().strip().partition("=")
        lines[name] = url
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert set(lines) == {
        *(
            f"TRADEFLOW_{e}_{kind}_URL"
            for e in ("BINANCE", "BITMEX", "COINBASE", "KRAKEN")
            for kind in ("REST", "WS")
        ),
        "TRADEFLOW_SIMULATOR_URL",
    }
