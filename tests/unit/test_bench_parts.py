"""Each part of the benchmarks, from what it has measured (here: given) to its text, its goals and its costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bench import growth, ingest, latency, memory, pipeline, recovery, report, saturation, throughput, workers
from bench.__main__ import PARTS, TARGET
from bench.entrants import ENTRANTS, Entrant
from bench.goals import keep, kept
from bench.latency import Latency, histogram
from bench.load import Load
from bench.options import Options, parse
from bench.pipeline import Drained
from bench.processes import ContestantFailed
from bench.recovery import Recovery
from bench.saturation import Overload
from bench.throughput import Throughput

MACHINE = report.Machine("a processor", 2, 2**34, 0.01)


@pytest.fixture
def options() -> Options:
    return parse(list(PARTS), list(ENTRANTS), ["--quick", "--deltas", "20000"])


async def _throughput(entrant: Entrant, load: Load) -> Throughput:
    cost = {"stock Faust": 40.0, "Quix Streams": 3.0, "Bytewax": 2.0, "confluent-kafka loop": 0.5}
    cpu = load.deltas * 1e-5 * cost.get(entrant.name, 1.0)
    return Throughput(entrant.name, entrant.durable, load.deltas, 2 * cpu, cpu, 100 * 2**20)


async def _drain(load: pipeline.RawLoad, count: int = 1, *, beside: bool = False) -> Drained:
    return Drained(count, load.deltas, 1.0, load.deltas * (25e-6 if count == 1 else 26e-6), 2**28, 17)


def _latency(name: str, rate: int, milliseconds: float) -> Latency:
    waits = histogram([int(milliseconds * 1e6)] * 100)
    return Latency(name, rate, waits, histogram([1_000_000] * 100), 100 / rate)


async def _latencies(relayer: latency.Relayer, rates: list[int], seconds: float) -> list[Latency]:
    return [_latency(relayer.name, rate, 5.0 if relayer is latency.TRADEFLOW else 4.0) for rate in rates]


async def _curve(seconds: float) -> list[Latency]:
    return [_latency("tradeflow", 100, 5.0), _latency("tradeflow", 200, 900.0)]


async def _overload(rate: int, seconds: float) -> Overload:
    resident = [100, 100, 110, 120]
    return Overload(rate, 5_000, 0, 90, 30, 0, lag=9.5, seconds=4.2, resident=[n << 20 for n in resident])


def _constant(value: float) -> Callable[[str, int], Coroutine[Any, Any, float]]:
    async def measure(name: str, frames: int) -> float:
        return value

    return measure


def _point(books: int, depth: int, deltas: int, repeats: int) -> growth.Point:
    return growth.Point(books, depth, 16.0 + depth / 1_000, 20.0 + depth / 1_000, 2**28)


def _recoveries(entrants: list[Entrant], books: int, depth: int, repeats: int) -> list[Recovery]:
    return [Recovery(one.name, books, 4.0 / (1 + n), 6.0 / (1 + n)) for n, one in enumerate(entrants)]


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "measure", _throughput)
    monkeypatch.setattr(pipeline, "drain", _drain)
    monkeypatch.setattr(latency, "measure", _latencies)
    monkeypatch.setattr(saturation, "curve", _curve)
    monkeypatch.setattr(saturation, "overload", _overload)
    monkeypatch.setattr(ingest, "tradeflow", _constant(40.0))
    monkeypatch.setattr(ingest, "cryptofeed", _constant(25.0))
    monkeypatch.setattr(growth, "measure", _point)
    monkeypatch.setattr(recovery, "recoveries", _recoveries)
    monkeypatch.setattr(memory, "kibibytes", lambda books, depth: 0.35 * depth)


GOALS = {
    "throughput": [True, True, None, False],
    "pipeline": [True],
    "latency": [True] * 6,
    "saturation": [None, True, True, True],
    "ingest": [True, True],
    "growth": [True, True, True],
    "recovery": [True, True],
    "workers": [True, None],
    "memory": [None, None],
}
"""Of what is given above."""


@pytest.mark.parametrize("part", sorted(GOALS))
def test_a_part_tells_its_figures_goals_and_costs(part: str, options: Options, tmp_path: Path) -> None:
    section = PARTS[part](options)
    page = report.refreshed(TARGET.read_text(), part, command="make bench", machine=MACHINE, **section.values)
    assert section.values["table"] in page and str(MACHINE) in page
    assert [goal.met for goal in section.goals] == GOALS[part]
    keep(part, section, "make bench", str(MACHINE), tmp_path / "kept.json")
    assert kept(tmp_path / "kept.json") == json.loads((tmp_path / "kept.json").read_text())
    assert all(cost > 0 for cost in section.costs.values())


def test_all_trials_of_a_rate_count_as_one() -> None:
    both = _latency("tradeflow", 100, 2.0) + _latency("tradeflow", 100, 8.0)
    one = _latency("tradeflow", 100, 2.0)
    assert both.waits.get_total_count() == 2 * one.waits.get_total_count()
    assert (both.seconds, both.achieved) == (2 * one.seconds, one.achieved)
    assert both.p50 == one.p50 and abs(both.p99 - 8.0) < 0.01


def test_a_contestant_that_fails_costs_the_others_nothing(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(entrant: Entrant, load: Load) -> Throughput:
        if entrant.name == "Bytewax":
            raise ContestantFailed("it ended")
        return await _throughput(entrant, load)

    monkeypatch.setattr(throughput, "measure", measure)
    section = throughput.run(options)
    assert "**ContestantFailed**" in section.values["table"]
    assert [goal.what.rpartition(" to ")[2] for goal in section.goals] == [
        "stock Faust",
        "Quix Streams",
        "confluent-kafka loop",
    ]


def test_a_second_worker_that_costs_much_is_told(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drain(load: pipeline.RawLoad, count: int = 1, *, beside: bool = False) -> Drained:
        return Drained(count, load.deltas, 1.0, load.deltas * 25e-6 * count, 2**28, 17)

    monkeypatch.setattr(pipeline, "drain", drain)
    goal, _ = workers.run(options).goals
    assert goal.measured == pytest.approx(0.5) and goal.met is False
