"""Raw record → order, open loop: each record has its time to be sent, and its latency counts from then.

If the sender is late, or the contestant slow, later records don't wait for that: nothing is omitted.  What is
timed: a raw book delta is due → the order that it caused has arrived at a consumer.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.entrants import tradeflow_variables, worker, write_maps
from bench.load import EXCHANGE, PARTITIONS, events, markets, partition_of
from bench.processes import ROOT, Contestant, ContestantFailed
from bench.topics import EVENTS, Watch, producer
from tradeflow.kafka import Kafka
from tradeflow.messages import Delta, RawBook, Snapshot

RAW = f"{EXCHANGE}-orderbook"
ORDERS = "orders"
WARM_UP = 3.0
"""Seconds at each rate that are sent and not counted."""

BOOKS = 8
_SEED = 11
_DRAIN = 20.0  # seconds to wait for the last orders
_START = 60.0  # seconds for the first ones: the process has yet to start

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Relayer:
    name: str
    command: list[str]


RELAY = Relayer("bare aiokafka relay", [sys.executable, str(ROOT / "bench" / "contestants" / "relay.py")])
TRADEFLOW = Relayer("tradeflow", worker())


@dataclass(frozen=True)
class Latency:
    """Milliseconds, of `count` records at `rate` a second.  `late`: how late the sender was at p99."""

    name: str
    rate: int
    count: int
    p50: float
    p99: float
    p999: float
    worst: float
    late: float


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of all values don't exceed."""
    return ordered[max(0, -(-len(ordered) * int(share * 10_000) // 10_000) - 1)]


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
        self._due: dict[tuple[str, int], int] = {}
        self._arrived: dict[tuple[str, int], int] = {}
        self._more = asyncio.Event()

    async def snapshots(self) -> None:
        """The books' first records; returns when each has become an order."""
        async with self._collecting(_START):
            for event in itertools.islice(self._events, BOOKS):
                await self._send(event, time.time_ns())

    async def rate(self, name: str, rate: int, seconds: float) -> Latency:
        """`seconds` that count, after the warm-up."""
        warm, total = int(rate * WARM_UP), int(rate * (WARM_UP + seconds))
        late = []
        async with self._collecting(_DRAIN):
            start, step = time.time_ns() + 10_000_000, 1_000_000_000 / rate
            for number, event in enumerate(itertools.islice(self._events, total)):
                due = start + int(number * step)
                await asyncio.sleep(max(0, due - time.time_ns()) / 1e9)
                late.append(time.time_ns() - due)
                await self._send(event, due)
        counted = list(self._due)[warm:]
        waits = sorted(self._arrived[place] - self._due[place] for place in counted)
        p50, p99, p999, worst = (percentile(waits, share) / 1e6 for share in (0.5, 0.99, 0.999, 1))
        return Latency(name, rate, len(waits), p50, p99, p999, worst, percentile(sorted(late), 0.99) / 1e6)

    @asynccontextmanager
    async def _collecting(self, patience: float) -> AsyncIterator[None]:
        """Orders are noted while the block sends; left when each record has its order."""
        self._due.clear()
        self._arrived.clear()
        collecting = asyncio.create_task(self._collect())
        try:
            yield
            async with asyncio.timeout(patience):
                while self._due.keys() - self._arrived.keys():
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            missing = len(self._due.keys() - self._arrived.keys())
            raise OrdersMissing(
                f"{missing} of {len(self._due)} orders did not come in {patience:.0f} s"
            ) from None
        finally:
            collecting.cancel()

    async def _send(self, event: Snapshot | Delta, due: int) -> None:
        raw = RawBook(
            exchange=event.exchange,
            symbol=event.symbol,
            epoch=event.epoch,
            sequence=event.sequence,
            receipt_time=due,
            snapshot=isinstance(event, Snapshot),
            bids=event.bids,
            asks=event.asks,
            exchange_time=due / 1e9,
        )
        self._due[event.symbol, event.sequence] = due
        await self._to.send(RAW, _encode(raw), event.symbol.encode(), partition_of(event.symbol))

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


@asynccontextmanager
async def running(relayer: Relayer) -> AsyncIterator[tuple[Trial, str]]:
    """One process on a fresh broker, its books with their snapshots, and where its web views are."""
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, Kafka() as kafka:
        directory = Path(place)
        write_maps(directory / "maps", BOOKS)
        async with Watch(kafka.bootstrap) as watch:
            await watch.create(RAW, EVENTS, ORDERS, partitions=PARTITIONS)
        variables = tradeflow_variables(kafka.bootstrap, directory)
        variables |= {"BENCH_BROKER": kafka.bootstrap, "STRATEGIES": "bench.strategies:EveryDelta"}
        # The snapshots wait for the worker's start; older than this they would be stale, and cause no order.
        variables["TRADEFLOW_SILENCE_TIMEOUT"] = str(_START)
        orders = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
        with Contestant(relayer.command, directory / "run", variables) as run:
            async with producer(kafka.bootstrap) as to, orders:
                orders.assign([TopicPartition(ORDERS, number) for number in range(PARTITIONS)])
                trial = Trial(to, orders)
                try:
                    await trial.snapshots()
                    yield trial, f"http://127.0.0.1:{variables['TRADEFLOW_WEB_PORT']}"
                except OrdersMissing as error:
                    run.usage()  # raises if it has ended
                    raise ContestantFailed(
                        f"{relayer.name}: {error}; its log ends with:\n{run.said}"
                    ) from None


async def measure(relayer: Relayer, rates: Sequence[int], seconds: float) -> list[Latency]:
    """All rates, one after the other."""
    async with running(relayer) as (trial, _):
        return [await trial.rate(relayer.name, rate, seconds) for rate in rates]


def run(relayer: Relayer, rates: Sequence[int], seconds: float) -> list[Latency]:
    # epoll sleeps in whole milliseconds, select in microseconds: a sender needs the latter.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(measure(relayer, rates, seconds))
