"""The whole pipeline: raw → normalize → market-events → books, two strategies → orders, gate, paper exchange.

One worker, or several, drain preloaded raw topics of two exchanges.  They start, share the partitions, take the
snapshots and commit; then they are stopped (SIGSTOP) while the deltas are loaded, and what counts begins when they
go on.  It ends when every raw record is normalized and every event of theirs applied, outputs acknowledged and state
saved: when both are committed.  A figure counts only if the final books equal the reference.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from bench.entrants import TRADEFLOW, saved_books, tradeflow_variables, worker, write_maps
from bench.goals import Goal, Section
from bench.load import PARTITIONS, Market, events, partition_of, raw, symbols
from bench.options import Options
from bench.processes import Contestant, busy_core
from bench.report import table
from bench.throughput import WrongResult
from bench.topics import EVENTS, TOPS, Watch, producer, send
from tables.order_books import OrderBook
from tradeflow.kafka import Kafka
from tradeflow.messages import Snapshot

EXCHANGES = ("binance", "kraken")
STRATEGIES = "imbalance,arbitrage"
GOAL = 30_000.0
"""Deltas a second and core."""

_LATER = 2_000_000_000_000_000_000  # later than any clock: Kafka's time counts, and no book is old because it waited
_POLL = 0.1
_TIMEOUT = 300.0

Records = dict[str, list[list[tuple[bytes, bytes]]]]
"""By raw topic and partition: (key, value)."""
Books = dict[tuple[str, str], tuple[dict[str, str], dict[str, str]]]


@dataclass
class RawLoad:
    """`books` books, half of them on each exchange, and `deltas` deltas of one level each."""

    deltas: int
    books: int = 40
    seed: int = 7
    snapshots: Records = field(default_factory=dict)
    records: Records = field(default_factory=dict)
    levels: Books = field(default_factory=dict)
    """By (exchange, symbol): the final (bids, asks)."""

    def make(self) -> RawLoad:
        random_, encode = random.Random(self.seed), msgspec.json.Encoder().encode
        markets = [
            Market(symbol, number, random_, exchange=exchange)
            for number, symbol in enumerate(symbols(self.books // len(EXCHANGES)))
            for exchange in EXCHANGES
        ]
        for found in (self.snapshots, self.records):
            found |= {f"{exchange}-orderbook": [[] for _ in range(PARTITIONS)] for exchange in EXCHANGES}
        made = events(markets, random_, lambda n: _LATER + n)
        for event in itertools.islice(made, len(markets) + self.deltas):
            found = self.snapshots if isinstance(event, Snapshot) else self.records
            record = event.symbol.encode(), encode(raw(event, event.receipt_time))
            found[f"{event.exchange}-orderbook"][partition_of(event.symbol)].append(record)
        self.levels = {(market.exchange, market.symbol): market.levels() for market in markets}
        return self


@dataclass(frozen=True)
class Drained:
    workers: int
    deltas: int
    seconds: float
    cpu: float
    """Seconds, of all workers."""
    peak: int
    """Bytes resident, of all workers."""
    orders: int

    @property
    def microseconds(self) -> float:
        """CPU a delta; or seconds a million of them."""
        return self.cpu / self.deltas * 1e6


async def drain(load: RawLoad, workers: int = 1, *, beside: bool = False) -> Drained:
    """One run; `beside` a core that is busy with something else.

    Raises WrongResult, ContestantFailed, or TimeoutError after five minutes."""
    with (
        tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place,
        Kafka() as kafka,
        ExitStack() as stack,
    ):
        directory = Path(place)
        write_maps(directory / "maps", load.books // len(EXCHANGES), EXCHANGES)
        variables = {"EXCHANGES": ",".join(EXCHANGES), "STRATEGIES": STRATEGIES}
        async with (
            Watch(kafka.bootstrap) as watch,
            producer(kafka.bootstrap) as to,
            asyncio.timeout(_TIMEOUT),
        ):
            await watch.create(*load.records, EVENTS, TOPS, "orders", partitions=PARTITIONS)
            runs = []
            for number in range(workers):
                own = tradeflow_variables(kafka.bootstrap, directory) | variables
                own["TRADEFLOW_DATA_DIR"] = str(directory / f"data{number}")
                runs.append(stack.enter_context(Contestant(worker(), directory / f"run{number}", own)))
            await _shared_out(watch, runs)
            await _feed(to, load.snapshots)
            await _committed(watch, runs, load)
            for run in runs:
                run.pause()
            await _feed(to, load.records)
            started, before = time.monotonic(), sum(run.usage().cpu for run in runs)
            for run in runs:
                run.resume()
            with busy_core() if beside else nullcontext():
                await _committed(watch, runs, load)
            seconds, cpu = time.monotonic() - started, sum(run.usage().cpu for run in runs) - before
            for run in runs:
                run.stop()
            _check(load, await saved_books(watch))
            orders = sum(await watch.ends("orders"))
    return Drained(workers, load.deltas, seconds, cpu, sum(run.peak for run in runs), orders)


async def _shared_out(watch: Watch, runs: list[Contestant]) -> None:
    """All have joined the group, so that none is added in the middle."""
    while await watch.members(TRADEFLOW.group) < len(runs):
        await _nap(runs)


async def _feed(to: AIOKafkaProducer, records: Records) -> None:
    await asyncio.gather(
        *(send(to, topic, n, found) for topic, parts in records.items() for n, found in enumerate(parts))
    )


async def _committed(watch: Watch, runs: list[Contestant], load: RawLoad) -> None:
    """Raw first: whatever it became is in the log by then."""
    for topic in (*load.records, EVENTS):
        ends = await watch.ends(topic)
        while not await watch.committed(TRADEFLOW.group, topic, ends):
            await _nap(runs)


async def _nap(runs: list[Contestant]) -> None:
    for run in runs:
        run.usage()  # notes the peak, and an early end
    await asyncio.sleep(_POLL)


def _check(load: RawLoad, books: list[OrderBook]) -> None:
    found = {(one.exchange, one.symbol): (one.book.bids.sizes, one.book.asks.sizes) for one in books}
    for place, levels in load.levels.items():
        if found.get(place) != levels:
            raise WrongResult(f"{place}: the final book differs from the reference: {found.get(place)}")


def medians(load: RawLoad, counts: list[int], repeats: int) -> list[Drained]:
    """Of each count of workers, taken in turns."""
    runs: dict[int, list[Drained]] = {count: [] for count in counts}
    for number in range(repeats):
        for count in counts:
            one = asyncio.run(drain(load, count))
            runs[count].append(one)
            print(f"{number + 1}/{repeats} {count} workers: {one.microseconds:.1f} µs a delta", flush=True)
    return [_median(found) for found in runs.values()]


def _median(found: list[Drained]) -> Drained:
    middle = statistics.median_low(one.cpu for one in found)
    return next(one for one in found if one.cpu == middle)


HEADER = ["workers", "CPU-s a million", "deltas/s a core", "deltas/s by the clock", "peak MiB", "orders"]


def row(one: Drained) -> list[str]:
    rate, clock = f"{1e6 / one.microseconds:,.0f}", f"{one.deltas / one.seconds:,.0f}"
    peak = f"{one.peak / 2**20:.0f}"
    return [str(one.workers), f"{one.microseconds:.1f}", rate, clock, peak, f"{one.orders:,}"]


def run(options: Options) -> Section:
    load = RawLoad(options.deltas, options.books).make()
    [one] = medians(load, [1], options.repeats)
    values = {"table": table(HEADER, [row(one)]), "repeats": options.repeats, "deltas": load.deltas}
    goal = Goal("whole pipeline, deltas/s a core", 1e6 / one.microseconds, "≥", GOAL, "/s")
    return Section(values | {"books": load.books}, [goal], {"pipeline_us": one.microseconds})
