"""Faults of a worker's clock: libfaketime steps it while the worker runs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.lab.fault import Span, lasting
from tests.faults.lab.processes import WorkerFault
from tests.faults.lab.samples import Place
from tests.faults.lab.system import SILENCE, System

WRONG_FOR = 3 * SILENCE
"""Seconds: long enough for whatever is taken for silent because of it."""


def libfaketime() -> Path | None:
    """Where Debian and others have it."""
    return next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)


class ClockJumps(WorkerFault):
    """Its clock, which stamps what its feeds receive, is set while all runs, and right again some seconds later.

    Meanwhile books may be marked, for a receipt time says when the feed last showed life; none may be wrong."""

    flag_limit = None
    live_limit = 5.0
    step: int
    """Seconds."""

    def missing(self) -> str:
        return "" if libfaketime() else "libfaketime: apt-get install faketime"

    def prepare(self, system: System) -> None:
        self.worker = system.any_worker()
        self._clock = system.directory / "clock"
        self._set(0)
        system.stop(self.worker)
        system.start(
            self.worker,
            LD_PRELOAD=str(libfaketime()),
            FAKETIME_TIMESTAMP_FILE=str(self._clock),
            FAKETIME_NO_CACHE="1",
            DONT_FAKE_MONOTONIC="1",
        )

    def places(self, system: System) -> set[Place]:
        return system.works_of(self.worker)

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            self._set(self.step)
            time.sleep(WRONG_FOR)
            self._set(0)
        return watch.span

    def tidy(self, system: System) -> None:
        system.stop(self.worker)
        super().tidy(system)

    def _set(self, seconds: int) -> None:
        following = self._clock.with_suffix(".new")
        following.write_text(f"{seconds:+d}\n")
        following.rename(self._clock)  # read at any moment


class ClockAhead(ClockJumps):
    name = "worker: its clock an hour ahead for 9 s"
    step = 3600


class ClockBehind(ClockJumps):
    name = "worker: its clock an hour behind for 9 s"
    step = -3600
