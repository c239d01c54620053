"""`Stack`: Kafka, exchanges and workers as child processes, started in order and all ended again."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tradeflow.cluster.settings import SECURITY_VARIABLES
from tradeflow.demo.child import Child
from tradeflow.kafka import DataDirUnusable, Kafka
from tradeflow.ports import PortTakenError, check_listen, free_port
from tradeflow.settings import Settings
from tradeflow.web.client import get

Progress = Callable[[str], None]


class Stack:
    """The system on this machine.

    `simulate` runs the exchange simulators and points the worker at them; without it the real exchanges are
    used.  `data_dir` None = a temporary directory that is removed at the end.  `brokers` = a Kafka that is
    already there, instead of an embedded one, which listens on `kafka_port` (0 = any that is free)."""

    worker_command: tuple[str, ...] = ("tradeflow.cli", "worker", "-l", "info")
    """What `python -m` runs."""

    def __init__(
        self,
        settings: Settings,
        *,
        simulate: bool,
        data_dir: Path | None = None,
        brokers: str | None = None,
        kafka_port: int = 0,
        simulator_options: tuple[str, ...] = (),
        progress: Progress = lambda _: None,
    ) -> None:
        self.settings = settings
        self.simulate = simulate
        self.simulator_options = simulator_options
        self._temporary = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="tradeflow-"))
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirUnusable(self.data_dir, error.strerror or str(error)) from None
        self.brokers = brokers or ""
        self._kafka_port = kafka_port
        self._progress = progress
        self._kafka: Kafka | None = None
        self.children: list[Child] = []
        self.env: dict[str, str] = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        self.web_url = ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait for the worker.  Raises KafkaError, ChildFailed, ListenError."""
        self._progress("Starting Kafka")
        if not self.brokers:
            kafka_dir = None if self._temporary else self.data_dir / "kafka"
            self._kafka = Kafka(
                kafka_dir,
                port=self._kafka_port,
                cache_dir=self.settings.cache_dir,
                maven_url=self.settings.maven_url,
                progress=self._progress,
            ).start()
            self.brokers = self._kafka.bootstrap
            self.env |= dict.fromkeys(SECURITY_VARIABLES, "")  # they are for another one
        if self.simulate:
            self._progress("Starting the exchange simulators")
            self._start_simulator()
        self._progress("Starting the worker")
        self.start_worker(self._web_port())

    def _start_simulator(self) -> None:
        simulator = Child(
            "the exchange simulator",
            ["tradeflow.simulator", *self.simulator_options],
            self.data_dir / "simulator.log",
            self.env,
        )
        self.children.append(simulator)
        for line in simulator.wait_for("TRADEFLOW_SIMULATOR_URL=").splitlines():
            name, separator, url = line.partition("=")
            if separator and name.startswith("TRADEFLOW_"):
                self.env[name] = url

    def _web_port(self) -> int:
        try:
            check_listen(self.settings.web_host, self.settings.web_port)
        except PortTakenError:
            if "web_port" in self.settings.model_fields_set:
                raise
            return free_port()
        return self.settings.web_port

    def start_worker(self, port: int, timeout: float = 90.0, **env: str) -> Child:
        """Start one more worker with its web views on `port`, and `env` on top; returns when it is ready."""
        name = f"worker-{port}"
        env = {
            **self.env,
            **env,
            "KAFKA_BROKERS": self.brokers,
            "TRADEFLOW_WEB_PORT": str(port),
            "TRADEFLOW_DATA_DIR": str(self.data_dir / name),
        }
        worker = Child(name, self.worker_command, self.data_dir / f"{name}.log", env)
        self.children.append(worker)
        host = self.settings.web_host
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.web_url = self.web_url or url
        deadline = time.monotonic() + timeout
        while True:
            worker.check()
            with contextlib.suppress(OSError):
                get(f"{url}/ready")
                return worker
            if time.monotonic() > deadline:
                raise worker.failure(f"is not ready after {timeout:.0f} s")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise if Kafka or a child has ended by itself."""
        if self._kafka is not None:
            self._kafka.check()
        for child in self.children:
            child.check()

    def get(self, path: str) -> Any:
        """A view of the first worker, decoded."""
        return get(self.web_url + path)

    def keep_logs(self) -> Path:
        """See that `stop` doesn't remove the logs; returns their directory."""
        if not self._temporary:
            return self.data_dir
        kept = Path(tempfile.mkdtemp(prefix="tradeflow-logs-"))
        for log in self.data_dir.glob("*.log"):
            shutil.copy(log, kept)
        return kept

    def stop(self) -> None:
        """End every process, workers first, and remove the temporary directory."""
        for child in reversed(self.children):
            child.stop()
        if self._kafka is not None:
            self._kafka.stop()
        if self._temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)
