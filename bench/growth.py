"""CPU a delta while one thing grows: symbols, levels.  What checkpoints cost is told apart.

Each point is drained twice from a preloaded log: with a checkpoint each second, until all is committed; and with
none, until the worker says that it has applied all.  The difference is what checkpoints cost.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.entrants import TRADEFLOW, tradeflow_variables, worker, write_maps
from bench.goals import Goal, Section
from bench.load import PARTITIONS, Load
from bench.options import Options
from bench.processes import Contestant
from bench.report import table
from bench.topics import EVENTS, TOPS, Watch, producer, send
from tradeflow.kafka import Kafka

FLAT = 1.25
"""Of the dearest point to the cheapest, on each axis."""
CHECKPOINTS = 20.0
"""Percent of the CPU, with the most and deepest books."""

_LEVELS = 100  # a side, while symbols grow
_NEVER = "60"  # seconds between checkpoints: longer than a drain
_POLL = 0.2
_TIMEOUT = 300.0


@dataclass(frozen=True)
class Point:
    """Microseconds of CPU a delta, and the most bytes that were resident."""

    books: int
    depth: int
    apart: float
    """Without checkpoints."""
    whole: float
    peak: int

    @property
    def checkpoints(self) -> float:
        """Percent of the whole."""
        return 100 * max(0.0, 1 - self.apart / self.whole)


async def drain(load: Load, *, checkpoints: bool) -> tuple[float, int]:
    """(CPU-seconds, peak)."""
    partitions = min(PARTITIONS, load.books)  # each must hold a symbol
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, Kafka() as kafka:
        directory = Path(place)
        write_maps(directory / "maps", load.books)
        variables = tradeflow_variables(kafka.bootstrap, directory) | TRADEFLOW.variables
        if not checkpoints:
            variables["TRADEFLOW_COMMIT_INTERVAL"] = _NEVER
        url = f"http://127.0.0.1:{variables['TRADEFLOW_WEB_PORT']}/stats"
        async with (
            aiohttp.ClientSession() as web,
            Watch(kafka.bootstrap) as watch,
            producer(kafka.bootstrap) as to,
            asyncio.timeout(_TIMEOUT),
        ):
            await watch.create(EVENTS, TOPS, partitions=partitions)
            with Contestant(worker(), directory / "run", variables) as run:
                await _feed(to, load.snapshots)
                await _applied(run, web, url, lambda counts: counts["snapshots"], load.books)
                run.pause()
                await _feed(to, load.records)
                before, ends = run.usage().cpu, await watch.ends(EVENTS)
                run.resume()
                await _applied(run, web, url, lambda counts: counts["deltas"], load.deltas)
                while checkpoints and not await watch.committed(TRADEFLOW.group, EVENTS, ends):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL)
                return run.usage().cpu - before, run.peak


async def _feed(to: Any, records: list[list[tuple[bytes, bytes]]]) -> None:
    await asyncio.gather(*(send(to, EVENTS, n, found) for n, found in enumerate(records)))


async def _applied(
    run: Contestant, web: aiohttp.ClientSession, url: str, of: Callable[[Any], dict[str, int]], wanted: int
) -> None:
    """Once the worker has counted so many; it says nothing before it has started."""
    while True:
        run.usage()
        try:
            async with web.get(url) as response:
                markets = (await response.json())["markets"].values() if response.ok else ()
        except aiohttp.ClientError:
            markets = ()
        if sum(sum(of(counts).values()) for counts in markets) >= wanted:
            return
        await asyncio.sleep(_POLL)


def measure(books: int, depth: int, deltas: int, repeats: int) -> Point:
    """The cheapest of the repeats, taken in turns: all that disturbs adds."""
    load = Load(deltas, books, depth=depth).make()
    started = time.monotonic()
    runs: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
    for _ in range(repeats):
        for kind, found in runs.items():
            found.append(asyncio.run(drain(load, checkpoints=kind)))
    apart, whole = (min(cpu for cpu, _ in runs[kind]) / deltas * 1e6 for kind in (False, True))
    point = Point(books, depth, apart, whole, max(peak for _, peak in runs[True]))
    print(
        f"{books} books of {depth} levels: {apart:.1f} µs a delta, {whole:.1f} with checkpoints"
        f" ({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    return point


def run(options: Options) -> Section:
    def points(pairs: list[tuple[int, int]], deltas: int = options.deltas // 2) -> list[Point]:
        return [measure(books, depth, deltas, options.repeats) for books, depth in pairs]

    wide = points([(books, _LEVELS) for books in options.symbols])
    deep = points([(options.books, depth) for depth in options.depths])
    [big] = points([(options.many[-1], options.depth)], many := 2 * options.deltas)  # for some checkpoints
    rows = [_row(one) for one in (*wide, *deep, big)]
    header = ["books", "levels a side at first", "µs a delta", "with checkpoints", "checkpoints", "peak MiB"]
    axes = (
        (wide, f"{options.symbols[0]:,} → {options.symbols[-1]:,} symbols"),
        (deep, f"{options.depths[0]:,} → {options.depths[-1]:,} levels"),
    )
    goals = [
        Goal(f"CPU a delta, {axis}: dearest to cheapest", _spread(found), "≤", FLAT) for found, axis in axes
    ]
    size = f"{big.books:,} books × {big.depth:,} levels"
    goals.append(Goal(f"checkpoints' share of the CPU, {size}", big.checkpoints, "≤", CHECKPOINTS, "%"))
    values = {"table": table(header, rows), "deltas": options.deltas // 2, "many": many}
    return Section(values, goals)


def _row(one: Point) -> list[str]:
    share, peak = f"{one.checkpoints:.0f} %", f"{one.peak / 2**20:.0f}"
    return [f"{one.books:,}", f"{one.depth:,}", f"{one.apart:.1f}", f"{one.whole:.1f}", share, peak]


def _spread(points: list[Point]) -> float:
    return max(one.apart for one in points) / min(one.apart for one in points)
