"""The exchange of the ingest benchmark: nothing goes out before it is let go, then all of it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bench.exchange import Burster
from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_a_burst_waits_and_comes_whole() -> None:
    async with Burster(Market(listed(["binance"], ["BTC-USDT"]), rate=2_000)) as exchange:
        url = exchange.url
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/fill/100") as answer:
                assert answer.status == 409, "nobody is there to wait for"
            stream = f"{url}/binance/stream?streams=btcusdt@depth/btcusdt@aggTrade"
            async with session.ws_connect(stream) as socket:
                async with session.post(f"{url}/fill/500") as answer:
                    updates = (await answer.json())["updates"]
                with pytest.raises(TimeoutError):
                    await socket.receive(0.2)
                async with session.post(f"{url}/release") as answer:
                    assert answer.status == 200
                frames = []
                async with asyncio.timeout(20):
                    while sum("depthUpdate" in frame for frame in frames) < updates:
                        frames.append((await socket.receive()).data)
                assert len(frames) >= 500
                with pytest.raises(TimeoutError):
                    await socket.receive(0.2)
