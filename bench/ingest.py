"""WebSocket frames → raw topic, beside cryptofeed alone with callbacks that do nothing.

Both get the same frames of a simulated exchange over a real WebSocket, in bursts that wait at the exchange until it
lets them go, so that they come as fast as they are taken.  Both parse with cryptofeed's class of that exchange; the
worker checks, numbers and encodes each record as well, and has it acknowledged by Kafka.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.entrants import tradeflow_variables, worker
from bench.exchange import LARGEST
from bench.goals import Goal, Section
from bench.options import Options
from bench.processes import ROOT, Contestant
from bench.report import table
from bench.topics import Watch
from tradeflow.kafka import Kafka
from tradeflow.partitions import load_maps

EXCHANGES = ("binance", "bitmex")
"""Those whose cryptofeed classes work as they come."""
GOAL = 0.5
"""Frames a second and core, in multiples of cryptofeed's alone."""

_MAPS = ROOT / "partition_maps"
_WARM_UP = 2_000  # frames
_WARM_UP_SECONDS = 3.0
_POLL = 0.1
_SETTLED = 0.5  # seconds: of trades, and what Kafka has yet to acknowledge
_TIMEOUT = 180.0

Taken = Callable[[], Awaitable[int]]
"""Book updates that a contestant has taken so far."""


@contextmanager
def exchange(name: str) -> Iterator[dict[str, str]]:
    """Its endpoints, as environment."""
    command = [sys.executable, "-m", "bench.exchange", name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        found: dict[str, str] = {}
        try:
            while "TRADEFLOW_SIMULATOR_URL" not in found:
                key, mark, url = process.stdout.readline().strip().partition("=")  # type: ignore[union-attr]
                if not mark:
                    raise RuntimeError(f"the simulated {name} ended with status {process.wait()}")
                found[key] = url
            yield found
        finally:
            process.terminate()


async def _bursts(url: str, run: Contestant, taken: Taken, frames: int) -> float:
    """CPU microseconds a book update, of `frames` frames after a warm-up."""
    async with aiohttp.ClientSession() as web, asyncio.timeout(_TIMEOUT):

        async def fill(size: int) -> int:
            while True:
                async with web.post(f"{url}/fill/{size}") as response:
                    if response.ok:
                        updates: int = (await response.json())["updates"]
                        return updates
                run.usage()
                await asyncio.sleep(_POLL)

        async def release() -> None:
            async with web.post(f"{url}/release"):
                pass

        async def burst(size: int) -> tuple[float, int]:
            updates = await fill(size)
            before, known = run.usage().cpu, await taken()
            await release()
            while await taken() < known + updates:
                run.usage()
                await asyncio.sleep(_POLL)
            await asyncio.sleep(_SETTLED)
            return run.usage().cpu - before, updates

        await fill(_WARM_UP)
        await release()
        await asyncio.sleep(
            _WARM_UP_SECONDS
        )  # cryptofeed takes its snapshots first, which hold these already
        sizes = [min(LARGEST, frames - done) for done in range(0, frames, LARGEST)]
        found = [await burst(size) for size in sizes]
        return sum(cpu for cpu, _ in found) / sum(updates for _, updates in found) * 1e6


async def tradeflow(name: str, frames: int) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place,
        Kafka() as kafka,
        exchange(name) as ends,
    ):
        directory, topic = Path(place), f"{name}-orderbook"
        variables = tradeflow_variables(kafka.bootstrap, directory) | ends
        variables |= {"EXCHANGES": name, "TRADEFLOW_ROLE": "feeds", "TRADEFLOW_PARTITION_MAPS": str(_MAPS)}
        maps = load_maps(_MAPS)
        async with Watch(kafka.bootstrap) as watch:
            await watch.create(topic, partitions=maps.exchanges[name].count)

            async def taken() -> int:
                return sum(await watch.ends(topic))

            with Contestant(worker(), directory / "run", variables) as run:
                while await taken() < len(maps.exchanges[name]):  # each book has begun
                    run.usage()
                    await asyncio.sleep(_POLL)
                return await _bursts(ends["TRADEFLOW_SIMULATOR_URL"], run, taken, frames)


async def cryptofeed(name: str, frames: int) -> float:
    program = [sys.executable, str(ROOT / "bench" / "contestants" / "cryptofeed_alone.py")]
    with tempfile.TemporaryDirectory(prefix="tradeflow-bench-") as place, exchange(name) as ends:
        symbols = ",".join(sorted(load_maps(_MAPS).exchanges[name]))
        variables = ends | {"BENCH_EXCHANGE": name, "SYMBOLS": symbols}
        with Contestant(program, Path(place), variables) as run:
            counts = Path(place) / "counts.json"

            async def taken() -> int:
                counts.unlink(missing_ok=True)
                run.signal(signal.SIGUSR1)
                while not counts.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                books: int = json.loads(counts.read_text())["books"]
                return books

            return await _bursts(ends["TRADEFLOW_SIMULATOR_URL"], run, taken, frames)


def run(options: Options) -> Section:
    contestants: dict[str, Any] = {"cryptofeed alone": cryptofeed, "tradeflow": tradeflow}
    rows, goals, own = [], [], []
    for name in EXCHANGES:
        runs: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(options.repeats):
            for contestant, measure in contestants.items():
                runs[contestant].append(asyncio.run(measure(name, options.frames)))
                print(
                    f"{number + 1}/{options.repeats} {name}, {contestant}: {runs[contestant][-1]:.1f} µs a frame",
                    flush=True,
                )
        alone, ours = (statistics.median(runs[contestant]) for contestant in contestants)
        own.append(ours)
        for contestant, cost in (("cryptofeed alone", alone), ("tradeflow", ours)):
            ratio = f"{alone / cost:.2f} ×"
            rows.append([f"{name}, {contestant}", f"{cost:.1f}", f"{1e6 / cost:,.0f}", ratio])
        goals.append(
            Goal(f"ingest from {name}, frames/s a core, to cryptofeed alone", alone / ours, "≥", GOAL)
        )
    header = ["", "µs CPU a frame", "frames/s a core", "to cryptofeed alone"]
    values = {"table": table(header, rows), "frames": options.frames, "repeats": options.repeats}
    return Section(values, goals, {"ingest_us": max(own)})
