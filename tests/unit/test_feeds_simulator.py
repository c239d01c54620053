"""Each live source against the simulator over real WebSockets: the true books, and faults on demand."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from feed_server import Records, Sent, until

from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.supervisor import Supervisor
from tradeflow.messages import RawBook, RawDown
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

    async def fault(self, exchange: str, fault: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/control/{exchange}/{fault}") as response,
        ):
            assert response.status == 200, await response.text()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
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


class Samples(Records):
    """Keeps copies of whole books, each with the point at which it must equal the true one."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.samples: list[tuple[str, dict[str, int], tuple[dict[str, str], dict[str, str]]]] = []

    def book(self, symbol: str, **fields: Any) -> None:
        super().book(symbol, **fields)
        if len(self.events) % self.every == 0 or fields["snapshot"]:
            time = fields["exchange_time"]
            if isinstance(time, str):
                at = {"time": nanoseconds(time)}
            else:
                at = {"sequence": fields["exchange_sequence"]}
            bids, asks = self.books[symbol]
            self.samples.append((symbol, at, (dict(bids), dict(asks))))


def numbers(levels: Any) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


async def check(samples: Samples, simulator: Simulator, exchange: str) -> None:
    truths = await simulator.truths(exchange, [(symbol, at) for symbol, at, _ in samples.samples])
    for (symbol, at, (bids, asks)), truth in zip(samples.samples, truths, strict=True):
        assert sorted(numbers(bids.items()), reverse=True) == numbers(truth["bids"]), (symbol, at)
        assert sorted(numbers(asks.items())) == numbers(truth["asks"]), (symbol, at)
        assert bids and asks


@pytest.mark.parametrize("exchange", SYMBOLS)
async def test_books_equal_the_simulators_true_ones(simulator, exchange):
    samples = Samples(every=5)
    source = simulator.source(exchange)
    task = asyncio.create_task(source.run(samples))
    await until(lambda: len(samples.samples) >= 60 and samples.of("trade"), 20)
    task.cancel()
    await asyncio.wait([task])
    assert {symbol for symbol, *_ in samples.samples} == set(SYMBOLS[exchange])
    await check(samples, simulator, exchange)


@pytest.mark.parametrize("exchange", ["bitmex", "kraken"])
async def test_books_that_are_taken_anew_stay_true(simulator, exchange):
    """Where nothing numbers the updates, each book is subscribed again now and then, within its epoch."""
    samples = Samples(every=5)
    source = simulator.source(exchange)
    source.feed_class.refresh_seconds = 0.7
    task = asyncio.create_task(source.run(samples))
    await until(lambda: sum(b["snapshot"] for b in samples.of("book")) >= 4 * len(SYMBOLS[exchange]), 20)
    task.cancel()
    await asyncio.wait([task])
    await check(samples, simulator, exchange)


class Trial:
    """A supervised feed and what it published."""

    def __init__(self, simulator: Simulator, exchange: str) -> None:
        self.simulator = simulator
        self.exchange = exchange
        self.symbols = SYMBOLS[exchange]
        self.sent = Sent()
        self.epoch = 0
        publisher = Publisher(exchange, dict.fromkeys(self.symbols, 0), self.sent.send)
        source = simulator.source(exchange)
        source.quiet_seconds = 2.0
        self.supervisor = Supervisor(source, publisher, self.claim, heartbeat_interval=0.5)

    async def claim(self) -> int:
        self.epoch += 1
        return self.epoch

    async def __aenter__(self) -> Trial:
        self.task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()
        await self.task

    @property
    def state(self) -> str:
        return self.supervisor.status()["state"]

    def downs(self, epoch: int) -> list[RawDown]:
        return [r for *_, r in self.sent.records if isinstance(r, RawDown) and r.epoch == epoch]

    async def until_live(self, after: int, seconds: float = 5.0) -> None:
        await until(lambda: self.state == "live" and self.epoch > after, seconds)

    def check_numbers(self) -> None:
        """Contiguous sequences from 0 per epoch, a snapshot first, nothing after a down."""
        for symbol in self.symbols:
            last: dict[int, int] = {}
            ended: set[int] = set()
            for topic, _, _, record in self.sent.records:
                if record.symbol != symbol or topic != f"{self.exchange}-orderbook":
                    continue
                assert record.epoch not in ended, "a record after its epoch's down"
                if isinstance(record, RawBook):
                    assert record.sequence == last.get(record.epoch, -1) + 1
                    assert record.snapshot or record.sequence > 0
                    last[record.epoch] = record.sequence
                else:
                    assert record.sequence == last.get(record.epoch, -1)
                if isinstance(record, RawDown):
                    ended.add(record.epoch)
            assert last


@pytest.mark.parametrize("exchange", SYMBOLS)
async def test_faults_of_the_exchange(simulator, exchange):
    """Cut, refused and silent connections, one after the other, for every exchange's protocol."""
    async with Trial(simulator, exchange) as trial:
        loop = asyncio.get_running_loop()
        await trial.until_live(0, 15)

        cut = loop.time()
        await simulator.fault(exchange, "drop")
        await until(lambda: len(trial.downs(1)) == len(trial.symbols), 0.5)
        await trial.until_live(1)
        assert loop.time() - cut < 5

        await simulator.fault(exchange, "refuse")
        await simulator.fault(exchange, "drop")
        await until(lambda: trial.epoch >= 4)
        await simulator.fault(exchange, "accept")
        before = trial.epoch
        back = loop.time()
        await until(lambda: trial.state == "live")
        assert loop.time() - back < 5 and trial.epoch >= before

        epoch = trial.epoch
        await simulator.fault(exchange, "pause")
        await until(lambda: trial.downs(epoch), 10)
        assert "no data for" in trial.downs(epoch)[0].reason
        await simulator.fault(exchange, "resume")
        await trial.until_live(epoch)
    trial.check_numbers()
