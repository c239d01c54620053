"""`Child`: a process that ends with its owner, however the owner ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tradeflow.kafka import guard


class ChildFailed(RuntimeError):
    """A process of ours ended or did not get ready; the message has the end of its log."""


class Child:
    """Runs `python -m …` under the guard that also keeps the embedded Kafka; output is appended to `log_file`."""

    def __init__(self, name: str, module: Sequence[str], log_file: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log_file = log_file
        with log_file.open("ab") as log:
            self._log_start = log.tell()
            self._guard = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-I",
                    "-S",
                    guard.__file__,
                    str(os.getpid()),
                    "",
                    sys.executable,
                    "-m",
                    *module,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **env},
                start_new_session=True,  # Ctrl-C is the owner's to handle
            )
        assert self._guard.stdout
        self.pid = int(self._guard.stdout.readline())

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    def log(self) -> str:
        """Its output, without what earlier processes have left in the file."""
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        if not self.running:
            raise self.failure(f"ended with status {self._guard.returncode}")

    def failure(self, what: str) -> ChildFailed:
        return ChildFailed(f"{self.name} {what}:\n{self._last_words()}")

    def _last_words(self) -> str:
        """What the log says of the reason: from the first error on, else its end."""
        lines = self.log().splitlines()
        first = next((n for n, line in enumerate(lines) if "[CRITICAL]" in line or "Traceback" in line), None)
        return "\n".join(lines[-25:] if first is None else lines[max(0, first - 1) : first + 25])

    def wait_for(self, text: str, timeout: float = 60.0) -> str:
        """Wait until its output has `text`; returns the output."""
        deadline = time.monotonic() + timeout
        while text not in (found := self.log()):
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"is not ready after {timeout:.0f} s")
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        """End it in an orderly way; returns when it is gone."""
        assert self._guard.stdin
        if not self._guard.stdin.closed:
            with contextlib.suppress(OSError):  # it may end by itself at any time
                self._guard.stdin.write("stop\n")
                self._guard.stdin.close()
        self._guard.wait()

    def wait(self) -> int:
        """Wait until it has ended by itself; returns its status."""
        return self._guard.wait()
