"""`Laboratory`: injects faults into a running system, one after the other, and measures what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.cluster import until
from tests.faults.lab.fault import Fault
from tests.faults.lab.oracle import Oracle
from tests.faults.lab.samples import Sample, time_to_flag, time_to_live
from tests.faults.lab.system import System

PATIENCE = 30.0
"""Seconds beyond its limit after which a fault is given up: something didn't happen at all."""

Progress = Callable[[str], None]


@dataclass
class Line:
    """One line of the table: seconds to flag and to live again, each time; None: not within patience."""

    name: str
    flag_limit: float | None
    live_limit: float
    to_flag: list[float | None] = field(default_factory=list)
    to_live: list[float | None] = field(default_factory=list)
    comparisons: int = 0
    missing: str = ""
    """Why it wasn't tried."""
    bad: int = 0
    """Live books that were wrong or old meanwhile."""

    @property
    def problems(self) -> list[str]:
        found = []
        if self.bad:
            found.append(f"{self.name}: {self.bad} live books were not the exchange's")
        for what, values, limit in (
            ("flagged", self.to_flag, self.flag_limit),
            ("live again", self.to_live, self.live_limit),
        ):
            for value in values:
                if limit is not None and (value is None or value > limit):
                    said = "never" if value is None else f"after {value:.2f} s"
                    found.append(f"{self.name}: {what} {said}, allowed are {limit:g} s")
        return found


class Laboratory:
    def __init__(self, system: System, oracle: Oracle, progress: Progress = print) -> None:
        self.system, self.oracle, self.progress = system, oracle, progress
        self.lines: list[Line] = []
        self._usual = oracle.old_after

    def run(self, faults: Iterable[Fault], share: float = 1.0) -> None:
        """Each so many times as it says, times `share`, at least once."""
        for fault in faults:
            self.run_one(fault, max(1, round(fault.times * share)))

    def run_one(self, fault: Fault, times: int) -> Line:
        line = Line(fault.name, fault.flag_limit, fault.live_limit)
        self.lines.append(line)
        line.missing = fault.missing()
        if line.missing:
            self.progress(f"{fault.name}: not tried here: {line.missing}")
            return line
        compared, bad = self.oracle.comparisons, self.oracle.bad
        for _ in range(times):
            fault.prepare(self.system)
            self.wait_live()
            self._inject(fault, line)
        line.comparisons, line.bad = self.oracle.comparisons - compared, self.oracle.bad - bad
        return line

    def wait_live(self, timeout: float = 90.0) -> None:
        """Until each worker, asked just now, has called every book live."""
        asked = time.time()
        everything = {(worker, place) for worker in self.system.workers for place in self.system.places}

        def all_live() -> bool:
            self._check()
            latest: dict[Any, Sample] = {}
            for sample in self.oracle.since(max(asked, time.time() - 2.0)):
                latest.setdefault((sample.worker, sample.place), sample)
            return all(key in latest and latest[key].live for key in everything)

        until(all_live, timeout, "every book is live at both workers")

    def _inject(self, fault: Fault, line: Line) -> None:
        places = fault.places(self.system)
        before = self.oracle.last(places)
        self.oracle.focus = frozenset(places)
        self.oracle.old_after = max(self._usual, fault.old_after)
        time.sleep(0.3)
        span = fault.inject(self.system)
        flagged: float | None = 0.0
        if fault.flag_limit is not None:
            flagged = self._wait(
                lambda: time_to_flag(self.oracle.since(span.begun), before, span.begun),
                fault.flag_limit,
            )
        marked = span.begun + (flagged or 0.0)
        live = self._wait(
            lambda: time_to_live(self.oracle.since(marked), places, marked, span.over), fault.live_limit
        )
        line.to_flag.append(flagged)
        line.to_live.append(live)
        self.oracle.focus = frozenset()
        shown = ["never" if value is None else f"{value:.2f} s" for value in (flagged, live)]
        self.progress(
            f"{fault.name} ({len(places)} books): marked {shown[0]}, live again {shown[1]}; "
            f"{self.oracle.comparisons} compared, {self.oracle.bad} bad"
        )
        fault.tidy(self.system)
        self.oracle.old_after = self._usual

    def _wait(self, measure: Callable[[], float | None], limit: float) -> float | None:
        deadline = time.monotonic() + limit + PATIENCE
        while (value := measure()) is None and time.monotonic() < deadline:
            self._check()
            time.sleep(0.1)
        return value

    def _check(self) -> None:
        if self.oracle.failure is not None:
            raise RuntimeError("the oracle failed") from self.oracle.failure
        self.system.simulator.check()
