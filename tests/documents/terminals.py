"""The terminals in which a page's steps are taken: one bash for the page, one beside it for each that keeps running."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from tests.documents.page import Step, difference, steps, with_ids
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

PORTS = re.compile(r"\b(?:606[6-9]|9092|7000)\b")
"""As pages name them; each becomes one that is free."""

COLUMNS = 120
BUSY = 3
"""Times as long as a page says may pass, for the machine may do something else meanwhile."""
PATIENCE = 120.0
"""Seconds for one step, and for a terminal that keeps running to be ready or to end."""


class Beside(NamedTuple):
    """A terminal that keeps running; its process group has the same number."""

    pid: int
    log: Path


class Terminals:
    """`with Terminals(directory) as terminals: terminals.take(text_of_a_page)`; AssertionError where it isn't so.

    It is as after `source .venv/bin/activate`.  TRADEFLOW_WEB_PORT and, if the page names 9092, KAFKA_BROKERS are set
    to what stands for their defaults."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ports: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._beside: list[Beside] = []
        self._lines: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self._run("set -em")  # -m: jobs have groups of their own, and hear SIGINT
        return self

    def __exit__(self, *_: object) -> None:
        ended = [self._ended(beside, signal.SIGINT) for beside in reversed(self._beside)]
        with contextlib.suppress(OSError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        assert all(ended), f"still running after {PATIENCE:.0f} s, and killed"

    def take(self, text: str) -> int:
        """Take all steps of a page; returns how many there were."""
        if "9092" in text:
            self._run(PORTS.sub(self._port, "export KAFKA_BROKERS=localhost:9092"))
        number = 0
        for number, step in enumerate(steps(PORTS.sub(self._port, text)), 1):  # noqa: B007
            step = step._replace(commands=with_ids(step.commands, self._ids))
            if step.keeps_running:
                self._open(step)
            elif step.commands:
                self._give(step)
            else:
                self._end(step)
        return number

    # --- the page's own ---

    def _give(self, step: Step) -> None:
        deadline = time.monotonic() + step.within * BUSY
        commands = step.commands
        if step.fails:
            commands = f"if ( {commands}\n); then false; fi"
        elif step.within:  # whatever it says at first, it may yet come to what the page shows
            commands = f"( {commands}\n) || true"
        while True:
            wrong = difference(step, self._run(commands), self._ids)
            if wrong is None:
                return
            assert time.monotonic() < deadline, wrong
            self._check()
            time.sleep(0.2)

    def _run(self, commands: str) -> str:
        """What they print.  The bash ends with the first command that fails."""
        assert self._bash.stdin
        mark = uuid.uuid4().hex
        self._bash.stdin.write(f"{commands}\necho; echo {mark}\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"still runs after {PATIENCE:.0f} s:\n{commands}\n{''.join(printed)}"
                ) from None
            assert line is not None, f"failed:\n{commands}\n{''.join(printed)}"
            if line.strip() == mark:
                return "".join(printed)
            printed.append(line)

    def _read(self) -> None:
        assert self._bash.stdout
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put(None)

    # --- beside it ---

    def _open(self, step: Step) -> None:
        log = self.directory / f"terminal-{len(self._beside)}.log"
        script = log.with_suffix(".sh")
        script.write_text(step.commands)
        log.touch()
        pid = int(self._run(f"bash {script} >{log} 2>&1 & echo $!"))
        self._beside.append(Beside(pid, log))
        deadline = time.monotonic() + PATIENCE
        while (wrong := difference(step, log.read_text(), self._ids)) is not None:
            assert time.monotonic() < deadline, wrong
            self._check()
            time.sleep(0.1)

    def _check(self) -> None:
        """AssertionError if a terminal that is to keep running has ended."""
        for beside in self._beside:
            try:
                os.killpg(beside.pid, 0)
            except ProcessLookupError:
                raise AssertionError(f"ended by itself:\n{beside.log.read_text()[-3000:]}") from None

    def _end(self, step: Step) -> None:
        beside = self._beside.pop()
        said = len(beside.log.read_text())
        assert self._ended(beside, signal.SIGINT), f"still running after {PATIENCE:.0f} s, and killed"
        self._run(f"wait {beside.pid} || [ $? = 130 ]")  # by itself, or by Ctrl-C
        wrong = difference(step, beside.log.read_text()[said:], self._ids)
        assert wrong is None, wrong

    @staticmethod
    def _ended(beside: Beside, how: signal.Signals) -> bool:
        """End all that runs in a terminal; False if it had to be killed."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ProcessLookupError):
            os.killpg(beside.pid, how)
            while time.monotonic() < deadline:
                os.killpg(beside.pid, 0)
                time.sleep(0.05)
            os.killpg(beside.pid, signal.SIGKILL)
            return False
        return True

    # --- where they run ---

    def _port(self, found: re.Match[str]) -> str:
        if found[0] not in self._ports:
            self._ports[found[0]] = str(free_port())
        return self._ports[found[0]]

    def _environment(self) -> Mapping[str, str]:
        settings = load_settings()
        ours = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": str(COLUMNS),
            "TRADEFLOW_WEB_PORT": PORTS.sub(self._port, "6066"),
            "NO_PROXY": "127.0.0.1,localhost",
        }
        if settings.cache_dir:
            ours["TRADEFLOW_CACHE_DIR"] = str(settings.cache_dir.resolve())
        if settings.maven_url:
            ours["TRADEFLOW_MAVEN_URL"] = settings.maven_url
        return os.environ | ours
