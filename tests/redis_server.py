"""A real Redis of a test's own, to be killed, frozen and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest
from redis import Redis

from tests.faults.cluster import until
from tradeflow.ports import free_port


class RedisServer:
    """On loopback, in memory.  `options`: of `redis-server`.  `url` has no password; skips where there is no Redis."""

    def __init__(self, directory: Path, *options: str, tls: bool = False) -> None:
        command = shutil.which("redis-server")
        if command is None:
            pytest.skip("needs Redis: apt install redis-server, or brew install redis")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.tls_port = free_port() if tls else 0
        self.directory = directory
        self._command = [command, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", *options]
        self._command += ["--tls-port", str(self.tls_port)] if tls else []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self.directory, stdout=log, stderr=log)
        until(self._listens, 20, "Redis listens")

    def _listens(self) -> bool:
        return b"Ready to accept connections" in (self.directory / "redis.log").read_bytes()

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            (self.directory / "redis.log").rename(self.directory / "redis.log.1")

    def client(self) -> Redis:
        return Redis(port=self.port, decode_responses=True, socket_timeout=5)
