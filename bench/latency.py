"""Raw record → order, open loop: each record has its time to be sent, and its latency counts from then.

If the sender is late, or the contestant slow, later records don't wait for that: nothing is omitted.  What is
timed: a raw book delta is due → the order that it caused has arrived at a consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import selectors
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from hdrh.histogram import HdrHistogram

from bench.entrants import tradeflow_variables, worker, write_maps
from bench.goals import Goal, Section
from bench.load import EXCHANGE, PARTITIONS, events, markets, partition_of, raw
from bench.options import Options
from bench.processes import ROOT, Contestant, ContestantFailed
from bench.report import table
from bench.topics import EVENTS, Watch, producer
from tradeflow.kafka import Kafka
from tradeflow.messages import Delta, Snapshot

RAW = f"{EXCHANGE}-orderbook"
ORDERS = "orders"
WARM_UP = 3.0
"""Seconds at each rate that are sent and not counted."""

BOOKS = 8
_SEED = 11
_DRAIN = 20.0  # seconds to wait for the last orders
_START = 120.0  # seconds for the first ones: the process has yet to start
_NEVER_STALE = 600.0  # seconds

_encode = msgspec.json.Encoder().encode


GOALS = {"p50": 1.3, "p99": 1.5}
"""tradeflow's milliseconds, in multiples of the relay's."""


@dataclass(frozen=True)
class Relayer:
    name: str
    command: list[str]


RELAY = Relayer("bare aiokafka relay", [sys.executable, str(ROOT / "bench" / "contestants" / "relay.py")])
TRADEFLOW = Relayer("tradeflow", worker())


@dataclass(frozen=True)
class Latency:
    """`waits` and how late the sender was (`late`): HDR histograms of microseconds, at `rate` records a second;
    `seconds`: from the first that counts being due to the last order's arrival."""

    name: str
    rate: int
    waits: HdrHistogram
    late: HdrHistogram
    seconds: float

    @property
    def p50(self) -> float:
        """Milliseconds, as are all of these."""
        return milliseconds(self.waits, 50)

    @property
    def p99(self) -> float:
        return milliseconds(self.waits, 99)

    def __add__(self, other: Latency) -> Latency:
        """Both of them, as if it had been one trial."""
        return Latency(
            self.name,
            self.rate,
            _both(self.waits, other.waits),
            _both(self.late, other.late),
            self.seconds + other.seconds,
        )

    @property
    def achieved(self) -> float:
        """Orders a second."""
        return self.waits.get_total_count() / self.seconds


def histogram(nanoseconds: Iterable[int]) -> HdrHistogram:
    """Of microseconds from 1 to an hour, to three digits."""
    made = HdrHistogram(1, 3_600_000_000, 3)
    for value in nanoseconds:
        made.record_value(max(1, value // 1000))
    return made


def _both(one: HdrHistogram, other: HdrHistogram) -> HdrHistogram:
    made = histogram(())
    made.add(one)
    made.add(other)
    return made


def milliseconds(of: HdrHistogram, percentile: float) -> float:
    return float(of.get_value_at_percentile(percentile)) / 1000


class _Cause(msgspec.Struct):
    sequence: int


class _Order(msgspec.Struct):
    symbol: str
    cause: _Cause


class OrdersMissing(RuntimeError):
    """Deltas were sent whose orders haven't come."""


class Trial:
    """One contestant's stream of deltas: sends them when they are due, and notes when their orders arrive."""

    def __init__(self, to: AIOKafkaProducer, orders: AIOKafkaConsumer) -> None:
        self._to, self._orders = to, orders
        found, random_ = markets(BOOKS, _SEED)
        self._events = events(found, random_, lambda _: 0)
        self.due: dict[tuple[str, int], int] = {}
        """(symbol, sequence) → when it was to be sent, of all since the last trial began."""
        self._arrived: dict[tuple[str, int], int] = {}
        self._more = asyncio.Event()

    async def snapshots(self) -> None:
        """The books' first records; returns when each has become an order."""
        async with self._collecting(_START):
            for event in itertools.islice(self._events, BOOKS):
                await self._send(event, time.time_ns())

    async def rate(self, name: str, rate: int, seconds: float, patience: float = _DRAIN) -> Latency:
        """`seconds` that count, after the warm-up; all orders must have come `patience` seconds later."""
        warm = int(rate * WARM_UP)
        async with self._collecting(patience):
            late = await self.send(rate, WARM_UP + seconds)
        counted = list(self.due)[warm:]
        waits = histogram(self._arrived[place] - self.due[place] for place in counted)
        lasted = max(self._arrived[place] for place in counted) - self.due[counted[0]]
        return Latency(name, rate, waits, histogram(late), lasted / 1e9)

    async def send(self, rate: int, seconds: float) -> list[int]:
        """Each delta when it is due; by how many nanoseconds each was late."""
        late = []
        start, step = time.time_ns() + 10_000_000, 1_000_000_000 / rate
        for number, event in enumerate(itertools.islice(self._events, int(rate * seconds))):
            due = start + int(number * step)
            await asyncio.sleep(max(0, due - time.time_ns()) / 1e9)
            late.append(time.time_ns() - due)
            await self._send(event, due)
        return late

    @asynccontextmanager
    async def _collecting(self, patience: float) -> AsyncIterator[None]:
        """Orders are noted while the block sends; left when each record has its order."""
        self.due.clear()
        self._arrived.clear()
        collecting = asyncio.create_task(self._collect())
        try:
            yield
            async with asyncio.timeout(patience):
                while self.due.keys() - self._arrived.keys():
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            missing = len(self.due.keys() - self._arrived.keys())
            raise OrdersMissing(
                f"{missing} of {len(self.due)} orders did not come in {patience:.0f} s"
            ) from None
        finally:
            collecting.cancel()

    async def _send(self, event: Snapshot | Delta, due: int) -> None:
        self.due[event.symbol, event.sequence] = due
        await self._to.send(RAW, _encode(raw(event, due)), event.symbol.encode(), partition_of(event.symbol))

    async def _collect(self) -> None:
        decode = msgspec.json.Decoder(_Order).decode
        while True:
            found = await self._orders.getmany(timeout_ms=1000)
            now = time.time_ns()
            for records in found.values():
                for record in records:
                    order = decode(record.value)
                    self._arrived.setdefault((order.symbol, order.cause.sequence), now)
            self._more.set()


class Running(NamedTuple):
    trial: Trial
    run: Contestant
    url: str
    """Of its web views."""


@asynccontextmanager
async def running(relayer: Relayer, silence: float | None = None) -> AsyncIterator[Running]:
    """One process on a fresh broker, its books with their snapshots.

    `silence`: seconds after which a book is stale; by default so many that none is, however late it is."""
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, Kafka() as kafka:
        directory = Path(place)
        write_maps(directory / "maps", BOOKS)
        async with Watch(kafka.bootstrap) as watch:
            await watch.create(RAW, EVENTS, ORDERS, partitions=PARTITIONS)
        variables = tradeflow_variables(kafka.bootstrap, directory)
        variables |= {"BENCH_BROKER": kafka.bootstrap, "STRATEGIES": "bench.strategies:EveryDelta"}
        variables["TRADEFLOW_SILENCE_TIMEOUT"] = str(silence or _NEVER_STALE)
        url = f"http://127.0.0.1:{variables['TRADEFLOW_WEB_PORT']}"
        orders = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
        with Contestant(relayer.command, directory / "run", variables) as run:
            if relayer is TRADEFLOW:
                await ready(run, url)
            async with producer(kafka.bootstrap) as to, orders:
                orders.assign([TopicPartition(ORDERS, number) for number in range(PARTITIONS)])
                trial = Trial(to, orders)
                try:
                    await trial.snapshots()
                    yield Running(trial, run, url)
                except OrdersMissing as error:
                    run.usage()  # raises if it has ended
                    raise ContestantFailed(
                        f"{relayer.name}: {error}; its log ends with:\n{run.said}"
                    ) from None


async def ready(run: Contestant, url: str) -> None:
    """Once the worker has its partitions.  Raises ContestantFailed if it takes too long."""
    said = "nothing"
    try:
        async with aiohttp.ClientSession() as web, asyncio.timeout(_START):
            while True:
                run.usage()
                with contextlib.suppress(aiohttp.ClientError):
                    async with web.get(f"{url}/ready") as answer:
                        said = await answer.text()
                        if answer.ok and json.loads(said)["partitions"]:
                            return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise ContestantFailed(
            f"{url}/ready said {said} for {_START:.0f} s; its log ends with:\n{run.said}"
        ) from None


async def measure(relayer: Relayer, rates: Sequence[int], seconds: float) -> list[Latency]:
    """All rates, one after the other."""
    found = []
    async with running(relayer) as (trial, _, _):
        for rate in rates:
            found.append(await trial.rate(relayer.name, rate, seconds))
            print(
                f"{relayer.name}, {rate}/s: p50 {found[-1].p50:.2f} ms, p99 {found[-1].p99:.2f}", flush=True
            )
    return found


def punctual[T](work: Coroutine[Any, Any, T]) -> T:
    """Run in a loop that wakes in time: epoll sleeps in whole milliseconds, select in microseconds."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)


def run(options: Options) -> Section:
    """Taken in turns, so that a noisy minute doesn't fall on one alone; all trials of a rate count as one."""
    trials: dict[str, list[list[Latency]]] = {RELAY.name: [], TRADEFLOW.name: []}
    for _ in range(options.repeats):
        for one in (RELAY, TRADEFLOW):
            trials[one.name].append(punctual(measure(one, options.rates, options.seconds)))
    found = [[reduce(add, same) for same in zip(*one, strict=True)] for one in trials.values()]
    pairs = list(zip(*found, strict=True))
    goals = [
        Goal(
            f"raw → order at {own.rate:,}/s, {name}, to the bare relay",
            getattr(own, name) / getattr(base, name),
            "≤",
            bound,
        )
        for base, own in pairs
        for name, bound in GOALS.items()
    ]
    values = {"table": _table(pairs), "seconds": options.seconds, "books": BOOKS, "repeats": options.repeats}
    return Section(values, goals)


PERCENTILES = (50, 90, 99, 99.9, 99.99, 100)


def _table(pairs: Sequence[tuple[Latency, Latency]]) -> str:
    rows = []
    for base, own in pairs:
        for one in (base, own):
            times = [milliseconds(one.waits, percentile) for percentile in PERCENTILES]
            ratios = (
                [f"{own.p50 / base.p50:.2f} ×", f"{own.p99 / base.p99:.2f} ×"] if one is own else ["", ""]
            )
            figures = [*(f"{value:.2f}" for value in times), *ratios, f"{milliseconds(one.late, 99):.2f}"]
            rows.append([f"{one.rate:,}/s {one.name}", *figures])
    names = ["p50", "p90", "p99", "p99.9", "p99.99", "max", "p50 ratio", "p99 ratio", "sender late, p99"]
    return table(["ms", *names], rows)
