"""`--sweep`: a backtest for each choice of parameters, on all cores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import Decimal, InvalidOperation
from multiprocessing import get_context

from tradeflow.backtest.changes import Change, parse_change
from tradeflow.backtest.result import BacktestResult
from tradeflow.backtest.run import Job, run_job
from tradeflow.strategies import StrategyError

MOST = 10_000
"""Combinations."""


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


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[int, BacktestResult]]:
    """(number of the job, its result), as they come; what a process raises is raised here."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_job, job): number for number, job in enumerate(jobs)}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
