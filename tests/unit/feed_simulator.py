"""A simulator for tests of feeds, with what it knows to be true."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp

from tradeflow.feeds.registry import make_source
from tradeflow.settings import load_settings

SYMBOLS = {
    "binance": ["BTC-USDT", "ETH-USDT", "SOL-USDT"],
    "bitmex": ["BTC-USD-PERP", "ETH-USD-PERP", "SOL-USD-PERP"],
    "coinbase": ["BTC-USD", "BTC-USDT", "ETH-USDT", "SOL-USDT"],
    "kraken": ["BTC-USD", "BTC-USDT", "ETH-USDT", "SOL-USDT"],
}


class Simulator:
    """A simulator in a process of its own, by its HTTP side."""

    def __init__(self, endpoints: dict[str, str]) -> None:
        self.url = endpoints["TRADEFLOW_SIMULATOR_URL"]
        self._settings = load_settings(
            **{name.removeprefix("TRADEFLOW_").lower(): url for name, url in endpoints.items()}
        )

    def source(self, exchange: str) -> Any:
        """The live source of an exchange, sent here by its endpoint settings."""
        return make_source(exchange, SYMBOLS[exchange], self._settings)

    async def truths(self, exchange: str, wanted: list[tuple[str, dict[str, int]]]) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session:
            found = []
            for symbol, at in wanted:
                async with session.get(f"{self.url}/truth/{exchange}/{symbol}", params=at) as response:
                    assert response.status == 200, await response.text()
                    found.append(await response.json())
            return found

    async def fault(self, exchange: str, fault: str, symbol: str = "") -> None:
        url = f"{self.url}/control/{exchange}/{fault}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/{symbol}" if symbol else url) as response,
        ):
            assert response.status == 200, await response.text()


@contextmanager
def simulated() -> Iterator[Simulator]:
    """Runs one until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tradeflow.simulator", "--rate", "400", "--depth", "100"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        endpoints: dict[str, str] = {}
        while "TRADEFLOW_SIMULATOR_URL" not in endpoints:
            line = process.stdout.readline()
            assert line, "the simulator ended before it was ready"
            name, _, url = line.strip().partition("=")
            endpoints[name] = url
        yield Simulator(endpoints)
    finally:
        process.terminate()
        process.wait(10)


def nanoseconds(iso: str) -> int:
    fraction = re.search(r"\.(\d+)", iso)
    whole = datetime.fromisoformat(re.sub(r"\.\d+", "", iso))
    return int(whole.timestamp()) * 10**9 + int((fraction[1] if fraction else "0").ljust(9, "0"))


def numbers(levels: Any) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]
