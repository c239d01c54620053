"""Events → exact books with durable state → top-of-book: one contestant at a time drains a preloaded topic.

Each gets a fresh broker.  It starts, joins its group, takes the snapshots and commits; then it is stopped
(SIGSTOP) while the deltas are loaded, and what counts begins when it goes on.  The clock ends with the last
output, the CPU count when the last input is committed, checkpoint and all.  A figure counts only if every
published top and the final books equal the reference.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from bench.entrants import ENTRANTS, STOCK, Entrant, tradeflow_variables, write_maps
from bench.goals import Goal, Section
from bench.load import PARTITIONS, Load, Top
from bench.options import Options
from bench.processes import Contestant, ContestantFailed
from bench.report import table, versions
from bench.topics import EVENTS, TOPS, Watch, producer, send
from tradeflow.kafka import Kafka

_POLL = 0.05  # seconds
_TIMEOUT = 300.0
_SAVED = 2.0
"""Seconds after which a contestant whose commits can't be seen has certainly made one: each makes one a second."""

GOALS = {"stock": 25.0, "quix": 2.5, "bytewax": None, "loop": 0.9}
"""tradeflow's deltas a second and core, in multiples of theirs."""


class WrongResult(RuntimeError):
    """A contestant's books or tops differ from the reference: its figure doesn't count."""


@dataclass(frozen=True)
class Throughput:
    entrant: str
    durable: bool
    deltas: int
    seconds: float
    cpu: float
    peak: int
    """Bytes resident."""

    @property
    def rate(self) -> float:
        """Deltas a second of wall clock, the broker on the same machine."""
        return self.deltas / self.seconds

    @property
    def microseconds(self) -> float:
        """CPU a delta; or seconds a million of them."""
        return self.cpu / self.deltas * 1e6

    def cpu_to(self, other: Throughput) -> float:
        """CPU a delta, in multiples of another's."""
        return self.microseconds / other.microseconds


async def measure(entrant: Entrant, load: Load) -> Throughput:
    """One run.  Raises WrongResult, ContestantFailed, or TimeoutError after five minutes."""
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, Kafka() as kafka:
        directory = Path(place)
        write_maps(directory / "maps", load.books)
        async with Watch(kafka.bootstrap) as watch:
            await watch.create(EVENTS, TOPS, partitions=PARTITIONS)
            variables = {"BENCH_BROKER": kafka.bootstrap, **tradeflow_variables(kafka.bootstrap, directory)}
            run = Contestant(entrant.command(), directory / "run", variables | entrant.variables)
            async with asyncio.timeout(_TIMEOUT), producer(kafka.bootstrap) as to:
                with run:
                    race = _Race(entrant, watch, run, to)
                    await race.feed(load.snapshots)
                    await race.drained(load.books)
                    run.pause()
                    await race.feed(load.records)
                    start, before = time.monotonic(), run.usage()
                    run.resume()
                    finish = await race.drained(sum(map(len, load.tops.values())))
                    cpu = run.usage().cpu - before.cpu
                await _check_tops(load, watch)
                _check_books(load, await entrant.books(watch, directory / "run"))
    return Throughput(entrant.name, entrant.durable, load.deltas, finish - start, cpu, run.peak)


class _Race:
    def __init__(self, entrant: Entrant, watch: Watch, run: Contestant, to: AIOKafkaProducer) -> None:
        self._entrant, self._watch, self._run, self._to = entrant, watch, run, to
        self._fed = [0] * PARTITIONS

    async def feed(self, records: list[list[tuple[bytes, bytes]]]) -> None:
        await asyncio.gather(*(send(self._to, EVENTS, n, found) for n, found in enumerate(records)))
        self._fed = await self._watch.ends(EVENTS)

    async def drained(self, outputs: int) -> float:
        """When there were as many `outputs`; returns once all that was fed is committed as well."""
        while sum(await self._watch.ends(TOPS)) < outputs:
            await self._nap()
        finished = time.monotonic()
        while not await self._saved(finished):
            await self._nap()
        return finished

    async def _saved(self, finished: float) -> bool:
        if not self._entrant.group:
            return time.monotonic() >= finished + _SAVED
        return await self._watch.committed(self._entrant.group, EVENTS, self._fed)

    async def _nap(self) -> None:
        self._run.usage()  # notes the peak, and an early end
        await asyncio.sleep(_POLL)


class _Record(msgspec.Struct):
    symbol: str
    sequence: int
    bid: tuple[str, str]
    ask: tuple[str, str]


async def _check_tops(load: Load, watch: Watch) -> None:
    decode = msgspec.json.Decoder(_Record).decode
    found: dict[str, dict[int, Top]] = {symbol: {} for symbol in load.tops}
    for record in await watch.read(TOPS):
        top = decode(record.value)
        # At least once: a sequence may come twice, its content may not differ.
        seen = found[top.symbol].setdefault(top.sequence, Top(top.sequence, top.bid, top.ask))
        if (seen.bid, seen.ask) != (top.bid, top.ask):
            raise WrongResult(f"{top.symbol} {top.sequence}: published {seen} and {top}")
    for symbol, tops in load.tops.items():
        changes: list[Top] = []
        for _, one in sorted(found[symbol].items()):
            if not changes or changes[-1][1:] != one[1:]:  # tradeflow repeats an unchanged top now and then
                changes.append(one)
        if changes != tops:
            wrong = sorted(set(changes) ^ set(tops))
            raise WrongResult(
                f"{symbol}: {len(wrong)} tops differ from the reference, the first is {wrong[0]}"
            )


def _check_books(load: Load, books: dict[str, tuple[dict[str, str], dict[str, str]]]) -> None:
    for symbol, (bids, asks) in load.levels.items():
        if books.get(symbol) != (bids, asks):
            raise WrongResult(f"{symbol}: the final book differs from the reference: {books.get(symbol)}")


def run(options: Options) -> Section:
    """Taken in turns, so that a noisy minute doesn't fall on one contestant alone; a failure is told, and goes on."""
    entrants = [ENTRANTS[name] for name in options.contestants]
    loads = {share: Load(int(options.deltas * share), options.books).make() for share in {1.0, STOCK.share}}
    runs: dict[str, list[Throughput]] = {entrant.name: [] for entrant in entrants}
    failures: dict[str, str] = {}
    for number in range(options.repeats):
        for entrant in entrants:
            try:
                result = asyncio.run(measure(entrant, loads[entrant.share]))
            except (WrongResult, ContestantFailed, TimeoutError) as error:
                failures[entrant.name] = f"**{type(error).__name__}**"
                print(f"{entrant.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            runs[entrant.name].append(result)
            print(
                f"{number + 1}/{options.repeats} {entrant.name}: {result.microseconds:.1f} µs a delta",
                flush=True,
            )
    found = {name: failures.get(name) or _median(results) for name, results in runs.items()}
    own = found.get("tradeflow")
    values = {
        "table": _table(found),
        "books": options.books,
        "deltas": options.deltas,
        "share": sum(map(len, loads[1.0].tops.values())) / options.deltas,
        "repeats": options.repeats,
        "stock": loads[STOCK.share].deltas,
        "versions": versions(entrants),
    }
    if not isinstance(own, Throughput):
        return Section(values)
    goals = [
        Goal(f"books + tops, deltas/s a core, to {ENTRANTS[key].name}", one.cpu_to(own), "≥", bound)
        for key, bound in GOALS.items()
        if isinstance(one := found.get(ENTRANTS[key].name), Throughput)
    ]
    return Section(values, goals, {"books_us": own.microseconds})


def _median(found: list[Throughput]) -> Throughput:
    middle = statistics.median_low(result.cpu for result in found)
    return next(result for result in found if result.cpu == middle)


def _table(found: dict[str, Throughput | str]) -> str:
    """A string is why there is no figure."""
    own = found.get("tradeflow")
    rows: list[Sequence[str]] = []
    for name, one in found.items():
        if isinstance(one, str):
            rows.append([name, one, "", "", "", "", ""])
            continue
        ratio = f"{one.cpu_to(own):.2f} ×" if isinstance(own, Throughput) else ""
        rate = f"{1e6 / one.microseconds:,.0f}"
        peak = f"{one.peak / 2**20:.0f}"
        durable = "yes" if one.durable else "no"
        rows.append([name, durable, f"{one.microseconds:.1f}", rate, f"{one.rate:,.0f}", peak, ratio])
    header = ["", "durable", "CPU-s a million", "deltas/s a core", "deltas/s by the clock", "peak MiB"]
    return table([*header, "tradeflow : it"], rows)
