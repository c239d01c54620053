"""Strategies' timers in event time: each fires at the multiples of its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tradeflow.market.run import Run

_NEVER = 2**63


class Firing(NamedTuple):
    time: int
    """The multiple of the interval that event time has passed: what the handler takes for now."""
    run: Run
    name: str
    handler: Callable[..., Any]


class Timers:
    """When what fires is a function of event time alone, so a checkpoint need not hold anything of it."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._timers = [
            (timer.interval, run, timer.name, getattr(run.strategy, timer.name))
            for run in runs
            for timer in run.strategy.timers()
        ]
        self.due = 0 if self._timers else _NEVER
        """Event time from which there is something to do; at first that isn't known, so at once."""

    def advance(self, before: int, after: int) -> list[Firing]:
        """What fires while event time moves from `before` to `after`: each timer at most once, by time.

        Nothing at the first event of all (`before` = 0): there was no time to pass."""
        firings = []
        for interval, run, name, handler in self._timers:
            last = after // interval * interval
            if 0 < before < last:
                firings.append(Firing(last, run, name, handler))
        self.due = min(((after // interval + 1) * interval for interval, *_ in self._timers), default=_NEVER)
        return sorted(firings, key=lambda firing: firing.time)
