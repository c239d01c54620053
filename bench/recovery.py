"""kill -9 → every book at work again: one contestant at a time, with its local state and without.

Each takes the snapshots and half of the deltas and commits; then it is killed.  The other deltas are loaded, and once
Kafka has given up on the dead process another is started.  The clock runs from that start to the last output that the
deltas must cause, so it holds everything: imports, joining the group, reading state, working off what waited.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.entrants import QUIX, TRADEFLOW, Entrant, tradeflow_variables, write_maps
from bench.goals import Goal, Section
from bench.load import PARTITIONS, Load
from bench.options import Options
from bench.processes import Contestant
from bench.report import table
from bench.topics import EVENTS, TOPS, Watch, producer, send
from tradeflow.kafka import Kafka

DELTAS = 20
"""For each book, half of them before the kill."""

GOAL = 0.5
"""tradeflow's seconds, in multiples of Quix Streams'."""

_POLL = 0.02  # seconds
_TIMEOUT = 300.0

Records = list[list[tuple[bytes, bytes]]]


@dataclass(frozen=True)
class Recovery:
    """Seconds; medians of the repeats."""

    entrant: str
    books: int
    with_state: float
    without_state: float


def recoveries(entrants: list[Entrant], books: int, depth: int, repeats: int) -> list[Recovery]:
    load = Load(books * DELTAS, books, depth=depth).make()
    found: dict[tuple[str, bool], list[float]] = {}
    for number in range(repeats):
        for entrant in entrants:
            for keep in (True, False):
                seconds = asyncio.run(_measure(entrant, load, keep))
                found.setdefault((entrant.name, keep), []).append(seconds)
                state = "with" if keep else "without"
                print(
                    f"{number + 1}/{repeats} {entrant.name} {state} local state: {seconds:.2f} s", flush=True
                )
    return [
        Recovery(one.name, books, *(statistics.median(found[one.name, keep]) for keep in (True, False)))
        for one in entrants
    ]


async def _measure(entrant: Entrant, load: Load, keep: bool) -> float:
    first, second = _halves(load)
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, Kafka() as kafka:
        directory = Path(place)
        write_maps(directory / "maps", load.books)
        variables = {"BENCH_BROKER": kafka.bootstrap, **tradeflow_variables(kafka.bootstrap, directory)}
        async with (
            Watch(kafka.bootstrap) as watch,
            producer(kafka.bootstrap) as to,
            asyncio.timeout(_TIMEOUT),
        ):
            await watch.create(EVENTS, TOPS, partitions=PARTITIONS)
            with Contestant(entrant.command(), directory / "run", variables | entrant.variables) as run:
                for records in (load.snapshots, first):
                    await asyncio.gather(*(send(to, EVENTS, n, found) for n, found in enumerate(records)))
                fed = await watch.ends(EVENTS)
                before = sum(map(len, load.tops.values())) - _tops(load, first)
                while sum(await watch.ends(TOPS)) < before or not await watch.committed(
                    entrant.group, EVENTS, fed
                ):
                    run.usage()
                    await asyncio.sleep(_POLL)
                run.kill()
            before = sum(await watch.ends(TOPS))
            if not keep:
                for state in ("data", "run/state"):
                    shutil.rmtree(directory / state, ignore_errors=True)
            await asyncio.gather(*(send(to, EVENTS, n, found) for n, found in enumerate(second)))
            while await watch.members(entrant.group):  # noqa: ASYNC110 -- asks Kafka
                await asyncio.sleep(0.2)
            started = time.monotonic()
            with Contestant(entrant.command(), directory / "run", variables | entrant.variables) as run:
                while sum(await watch.ends(TOPS)) < before + _tops(load, first):
                    run.usage()
                    await asyncio.sleep(_POLL)
                return time.monotonic() - started


def _halves(load: Load) -> tuple[Records, Records]:
    """The deltas of each partition, in two."""
    return (
        [records[: len(records) // 2] for records in load.records],
        [records[len(records) // 2 :] for records in load.records],
    )


def _tops(load: Load, first: Records) -> int:
    """Outputs that the deltas after `first` must cause."""
    done = dict.fromkeys(load.tops, 0)
    for records in first:
        for key, _ in records:
            done[key.decode()] += 1
    return sum(top.sequence > done[symbol] for symbol, tops in load.tops.items() for top in tops)


def run(options: Options) -> Section:
    """For each number of books."""
    found = [recoveries([QUIX, TRADEFLOW], many, options.depth, options.repeats) for many in options.many]
    goals = []
    for quix, own in found:
        size = f"{own.books} books × {options.depth:,} levels"
        for state, ratio in (
            ("with local state", own.with_state / quix.with_state),
            ("without", own.without_state / quix.without_state),
        ):
            goals.append(Goal(f"recovery of {size}, {state}, to Quix Streams", ratio, "≤", GOAL))
    values = {"table": recovery_table([one for pair in found for one in pair]), "repeats": options.repeats}
    return Section(values | {"depth": options.depth, "deltas": DELTAS}, goals)


def recovery_table(results: Sequence[Recovery]) -> str:
    rows = []
    for one in results:
        own = next((r for r in results if r.entrant == TRADEFLOW.name and r.books == one.books), one)
        ratios = own.with_state / one.with_state, own.without_state / one.without_state
        seconds = (
            f"{one.with_state:.2f}",
            f"{ratios[0]:.2f} ×",
            f"{one.without_state:.2f}",
            f"{ratios[1]:.2f} ×",
        )
        rows.append([f"{one.books} books, {one.entrant}", *seconds])
    return table(["s", "with local state", "tradeflow : it", "without", "tradeflow : it"], rows)
