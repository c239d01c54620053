"""A measured process: started in an empty directory, its whole tree's CPU and memory read from the system."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import psutil

ROOT = Path(__file__).resolve().parent.parent


class Usage(NamedTuple):
    cpu: float
    """Seconds, user + system."""
    resident: int
    """Bytes."""


class ContestantFailed(RuntimeError):
    """It ended by itself or stood still; the message holds the end of its log."""


class Contestant:
    """`with Contestant(…)`: runs until the block is left, then gets SIGTERM.

    `command` sees the environment and `variables`; standard output and error go to `log` in `directory`."""

    def __init__(self, command: Sequence[str], directory: Path, variables: Mapping[str, str]) -> None:
        self.directory = directory
        self.log = directory / "log"
        self._command = list(command)
        self._variables = {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1,localhost", **variables}
        self._process: psutil.Popen | None = None
        self.peak = 0

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = psutil.Popen(
                self._command,
                cwd=self.directory,
                env=os.environ | self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM and wait; what doesn't end within 20 s is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        tree = process.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            for child in [*tree, process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.wait(5)

    def kill(self) -> None:
        """kill -9, its whole tree; returns when it is gone."""
        process = self._require()
        for one in [*process.children(recursive=True), process]:
            one.kill()
        process.wait(5)

    def pause(self) -> None:
        """SIGSTOP; Kafka must not miss it for longer than its session timeout."""
        self._require().suspend()

    def resume(self) -> None:
        self._require().resume()

    def signal(self, number: signal.Signals) -> None:
        self._require().send_signal(number)

    def usage(self) -> Usage:
        """Now, of the whole tree.  Raises ContestantFailed if it has ended."""
        process = self._require()
        cpu, resident = 0.0, 0
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                resident += one.memory_info().rss
        self.peak = max(self.peak, resident)
        return Usage(cpu, resident)

    def _require(self) -> psutil.Popen:
        process = self._process
        assert process is not None
        if process.poll() is not None:
            raise ContestantFailed(f"{self._command} ended with status {process.returncode}:\n{self.said}")
        return process

    @property
    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """A core that does something else: two cores that are threads of one are slower when both work."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
