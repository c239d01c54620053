"""Faults of a worker's clock: clock.c, preloaded into its process, steps it while it runs."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.lab.fault import Span, lasting
from tests.faults.lab.processes import WorkerFault
from tests.faults.lab.samples import Place
from tests.faults.lab.system import SILENCE, System

WRONG_FOR = 3 * SILENCE
"""Seconds: long enough for whatever is taken for silent because of it."""


SOURCE = Path(__file__).with_name("clock.c")


class ClockJumps(WorkerFault):
    """Its clock, which stamps what its feeds receive, is set while all runs, and right again some seconds later.

    Meanwhile books may be marked, for a receipt time says when the feed last showed life; none may be wrong."""

    flag_limit = None
    live_limit = 5.0
    step: int
    """Seconds."""

    def missing(self) -> str:
        if sys.platform != "linux":
            return "Linux, where a library of one's own can be loaded before libc"
        return "" if shutil.which("cc") else "a C compiler, cc: apt-get install gcc"

    def prepare(self, system: System) -> None:
        self.worker = system.any_worker()
        self._clock = system.directory / "clock"
        self._set(0)
        library = system.directory / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        system.stop(self.worker)
        system.start(self.worker, LD_PRELOAD=str(library), LAB_CLOCK=str(self._clock))

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
        """At once, for whoever has the file mapped."""
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))


class ClockAhead(ClockJumps):
    name = "worker: its clock an hour ahead for 9 s"
    step = 3600


class ClockBehind(ClockJumps):
    name = "worker: its clock an hour behind for 9 s"
    step = -3600
