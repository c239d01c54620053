"""Parameters of a backtest: `--set strategy.parameter=value`, and `--sweep` over ranges of them, on all cores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import Decimal, InvalidOperation
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tradeflow.backtest.result import BacktestResult
from tradeflow.strategies import Strategy, StrategyError
from tradeflow.strategies.parameters import from_text, with_parameters

MOST = 10_000
"""Combinations."""


class Change(NamedTuple):
    """One parameter's value, as text."""

    strategy: str
    """Empty: of the one strategy that has it."""
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.strategy}.{self.name}={self.value}" if self.strategy else f"{self.name}={self.value}"


def parse_change(text: str) -> Change:
    """`strategy.parameter=value`, or `parameter=value` where one strategy has it.  Raises StrategyError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StrategyError(f"{text!r}: write strategy.parameter=value")
    strategy, dot, parameter = name.rpartition(".")
    return Change(strategy if dot else "", parameter, value)


def parse_sweep(text: str) -> list[Change]:
    """`parameter=from:to:step` (both ends, exact), or `parameter=one,another`.  Raises StrategyError."""
    change = parse_change(text)
    if change.value.count(":") != 2:
        return [change._replace(value=value.strip()) for value in change.value.split(",")]
    try:
        first, last, step = map(Decimal, change.value.split(":"))
        count = (last - first) // step
    except (InvalidOperation, ZeroDivisionError):
        raise StrategyError(f"{text!r}: write parameter=from:to:step, e.g. enter=0.5:0.9:0.1") from None
    if not 0 <= count < MOST:
        raise StrategyError(
            f"{text!r}: from {first} to {last} by {step} gives no values, or more than {MOST}"
        )
    return [change._replace(value=format(first + step * n, "f")) for n in range(int(count) + 1)]


def combinations(sweeps: Sequence[list[Change]]) -> list[tuple[Change, ...]]:
    """Every choice of one value from each.  Raises StrategyError for too many."""
    found = list(itertools.islice(itertools.product(*sweeps), MOST + 1))
    if len(found) > MOST:
        raise StrategyError(f"more than {MOST} combinations: sweep over fewer values")
    return found


def changed(strategies: Sequence[Strategy], changes: Sequence[Change]) -> list[Strategy]:
    """The strategies with other parameters.  Raises StrategyError for one that nobody, or several, have."""
    found = list(strategies)
    for change in changes:
        places = [
            n
            for n, one in enumerate(found)
            if change.strategy in ("", one.name) and change.name in one.__struct_fields__
        ]
        if len(places) != 1:
            names = ", ".join(one.name for one in found)
            which = "none" if not places else "several"
            raise StrategyError(f"{change}: {which} of {names} have it; write strategy.parameter=value")
        one = found[places[0]]
        found[places[0]] = with_parameters(one, from_text(one, {change.name: change.value}))
    return found


class Job(NamedTuple):
    """One backtest for a process of its own: all that it needs, as text."""

    file: Path
    strategies: tuple[str, ...]
    """Names to load instead of the recorded ones; empty: those."""
    changes: tuple[Change, ...]
    latency: float | None
    sample_seconds: float


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[int, BacktestResult]]:
    """(number of the job, its result), as they come; what a process raises is raised here."""
    from tradeflow.backtest.run import run_job

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_job, job): number for number, job in enumerate(jobs)}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
