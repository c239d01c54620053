"""Recordings served over HTTP and WebSockets: exactly what was recorded, in order."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from tradeflow.simulator.cli import simulate_command
from tradeflow.simulator.recorded import RecordedExchange

RECORDINGS = Path(
    os.environ.get("TRADEFLOW_RECORDINGS") or Path(__file__).parents[3] / "shared" / "recordings"
)

needs_recordings = pytest.mark.skipif(
    not (RECORDINGS / "BINANCE.0").exists(),
    reason=f"no recorded frames in {RECORDINGS}: not part of the project, see TRADEFLOW_RECORDINGS",
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two connections, told apart by their channel, and a REST answer that changes."""
    (tmp_path / "TOY.0").write_text(
        'https://toy.example/instruments?kind=SPOT -> 1.5: {"n":1}\n'
        'https://toy.example/instruments?kind=SPOT -> 2.5: {"n":2} header: {"A":"b"}\n'
        'configuration: {"trades":["A"]}\n'
    )
    for number, channel in enumerate(("trade", "book")):
        lines = [
            "wss://toy.example/ws <-> 10.0",
            f'wss://toy.example/ws <- 10.1: {{"subscribe":["A/B","C/D"],"channel":{{"name":"{channel}"}}}}',
            *(f'{11 + n / 10}: {{"{channel}":{n},"text":"1: 2 <- 3"}}' for n in range(6)),
        ]
        (tmp_path / f"TOY.ws.{number}.0").write_text("\n".join(lines) + "\n\n")
    return tmp_path


async def test_answers_rest_as_recorded(recording):
    async with RecordedExchange(recording, "TOY") as exchange, aiohttp.ClientSession() as session:
        answers = []
        for _ in range(3):
            async with session.get(f"{exchange.rest_url}/instruments?kind=SPOT") as response:
                answers.append(await response.json())
        assert answers == [{"n": 1}, {"n": 2}, {"n": 2}]
        async with session.get(f"{exchange.rest_url}/instruments") as response:
            assert response.status == 404
            assert "there are /instruments?kind=SPOT" in await response.text()


@pytest.mark.parametrize("channel", ["trade", "book"])
async def test_plays_the_connection_that_was_subscribed_alike(recording, channel):
    async with RecordedExchange(recording, "TOY") as exchange, aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"{exchange.ws_url}/any/path")
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)  # not before it has subscribed
        await socket.send_json({"subscribe": ["C/D"], "channel": {"name": channel}})
        frames = [await socket.receive_json(timeout=5) for _ in range(6)]
        assert [frame[channel] for frame in frames] == list(range(6))
        assert frames[0]["text"] == "1: 2 <- 3"
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)  # then silent, but open
        assert not socket.closed
        assert len(exchange.played) == 1


async def test_speed(recording):
    async with RecordedExchange(recording, "TOY", speed=1) as exchange, aiohttp.ClientSession() as session:
        socket = await session.ws_connect(exchange.ws_url)
        started = time.monotonic()
        await socket.send_json({"channel": {"name": "book"}})
        for _ in range(6):
            await socket.receive_json(timeout=5)
        assert 0.45 < time.monotonic() - started < 2.0


def test_no_such_recording(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no recording NOPE\.ws\.\* in"):
        RecordedExchange(tmp_path, "NOPE")


@needs_recordings
@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "subscription"),
    [
        ("BINANCE", None),
        ("BITMEX", {"op": "subscribe", "args": ["orderBookL2:XBTUSD"]}),
        ("COINBASE", {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2"}),
        (
            "KRAKEN",
            {"event": "subscribe", "pair": ["XBT/CHF"], "subscription": {"name": "book", "depth": 1000}},
        ),
        ("OKX", {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]}),
    ],
)
async def test_every_recorded_frame_arrives_unchanged(name, subscription):
    files = {path.name: path.read_text().splitlines() for path in RECORDINGS.glob(f"{name}.ws.*")}
    wanted = [
        line.split(": ", 1)[1]
        for file, lines in files.items()
        if name != "KRAKEN" or file == "KRAKEN.ws.50.0"
        for line in lines
        if line[:1].isdigit()
    ]
    async with RecordedExchange(RECORDINGS, name) as exchange, aiohttp.ClientSession() as session:
        socket = await session.ws_connect(exchange.ws_url, max_msg_size=0)
        if subscription:
            await socket.send_json(subscription)
        async with asyncio.timeout(30):
            frames = [await socket.receive_str() for _ in wanted]
    assert frames == wanted


@needs_recordings
@pytest.mark.recordings
async def test_rest_of_the_recordings():
    paths = {
        "BINANCE": ["/api/v3/exchangeInfo", "/api/v3/depth?symbol=NKNUSDT&limit=1000"],
        "BITMEX": ["/api/v1/instrument/active"],
        "COINBASE": ["/api/v3/brokerage/market/products"],
        "KRAKEN": ["/0/public/AssetPairs"],
        "OKX": ["/api/v5/public/instruments?instType=SPOT"],
    }
    sizes = Counter()
    for name, requests in paths.items():
        async with RecordedExchange(RECORDINGS, name) as exchange, aiohttp.ClientSession() as session:
            for request in requests:
                async with session.get(exchange.rest_url + request) as response:
                    assert response.status == 200
                    sizes[name] += len(json.dumps(await response.json()))
    assert min(sizes.values()) > 50_000


def test_process_serves_a_directory_of_recordings(recording):
    command = [sys.executable, "-m", "tradeflow.simulator", "--recordings", str(recording)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        urls = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        with urllib.request.urlopen(f"{urls['TRADEFLOW_TOY_REST_URL']}/instruments?kind=SPOT") as answer:
            assert json.load(answer) == {"n": 1}
        assert urls["TRADEFLOW_TOY_WS_URL"].startswith("ws://127.0.0.1:")
        process.terminate()
        assert process.wait(10) == 0


def test_a_directory_without_recordings_is_a_clear_error(tmp_path):
    result = CliRunner().invoke(simulate_command, ["--recordings", str(tmp_path)])
    assert result.exit_code == 2
    assert "no recordings (NAME.ws.*) in" in result.output
