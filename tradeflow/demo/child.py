"""`Child`: a process that ends with its owner, however the owner ends."""

from __future__ import annotations

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
    """Runs `python -m …` under the guard that also keeps the embedded Kafka; output goes to `log_file`."""

    def __init__(self, name: str, module: Sequence[str], log_file: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log_file = log_file
        with log_file.open("ab") as log:
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
        return self.log_file.read_text(errors="replace")

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        if not self.running:
            raise ChildFailed(
                f"{self.name} ended with status {self._guard.returncode}:\n{self._last_words()}"
            )

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
                raise ChildFailed(f"{self.name} is not ready after {timeout:.0f} s; see {self.log_file}")
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        """End it in an orderly way; returns when it is gone."""
        if self._guard.poll() is None and self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.write("stop\n")
            self._guard.stdin.close()
        self._guard.wait()

    def wait(self) -> int:
        """Wait until it has ended by itself; returns its status."""
        return self._guard.wait()
