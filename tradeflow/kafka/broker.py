"""One real Apache Kafka node as a child process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from tradeflow.kafka.class_data import ClassArchive
from tradeflow.kafka.errors import BrokerFailed, DataDirUnusable, DiskFull, KafkaError, PortTaken
from tradeflow.kafka.formatted import Formatted, new_id
from tradeflow.kafka.jars import VERSION, Progress, default_cache_dir, fetch_jars
from tradeflow.kafka.java import find_java
from tradeflow.kafka.properties import LOGGING, jmx_options, jvm_options, server_properties
from tradeflow.ports import free_port, is_free, port_holder

GUARD = Path(__file__).with_name("guard.py")
ROOM = 128 * 2**20  # bytes free on the data's disk, below which a start is refused
START_TIMEOUT = 90.0  # seconds; a few even on a slow machine, more when a large log has to be recovered


class Kafka:
    """A Kafka node on 127.0.0.1 that lives no longer than this process, even if that is killed.

    `with Kafka() as kafka:` … `kafka.bootstrap`.  `port` 0 takes a free one; `data_dir` None a temporary
    directory that `stop` removes.  `properties` override the broker's; `jmx_port` 0 = no JMX; `cache_dir`
    holds the jars, shared by all.  Not thread-safe."""

    def __init__(
        self,
        data_dir: Path | str | None = None,
        port: int = 0,
        *,
        properties: Mapping[str, str] | None = None,
        jmx_port: int = 0,
        cache_dir: Path | None = None,
        maven_url: str | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        self.port = port
        self.pid = 0  # of the broker's JVM
        self.data_dir = Path(data_dir).absolute() if data_dir else Path()
        self._temporary = not data_dir
        self._properties = dict(properties or {})
        self._jmx = jmx_options(jmx_port) if jmx_port else []
        self.cache_dir = (cache_dir or default_cache_dir()).absolute()
        self._maven_url, self._progress = maven_url, progress
        self._guard: subprocess.Popen[str] | None = None
        self._jvm: list[str] = []
        self._class_path = ""
        self._classes: ClassArchive | None = None
        self._formatted = Formatted(self.cache_dir)
        self._lock: IO[str] | None = None
        self._log_start = 0  # where in its log the last start begins

    @property
    def bootstrap(self) -> str:
        """For clients: "127.0.0.1:PORT"."""
        return f"127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "broker.log"

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Self:
        """Start, again on the same data and port after `kill` or `stop`, and wait until it answers.

        Raises JavaMissing, DownloadFailed, HashMismatch, PortTaken, DiskFull, DataDirUnusable, BrokerFailed:
        all KafkaErrors."""
        if self.running:
            raise KafkaError(f"Kafka runs already on {self.bootstrap} (pid {self.pid}). Stop it first.")
        if self.port and not is_free(self.port):
            raise PortTaken(self.port, port_holder(self.port))
        chosen = self.port
        try:
            if not self._jvm:
                self._prepare()
            for attempt in range(3):
                self.port = chosen or free_port()
                try:
                    self._launch()
                    break
                except PortTaken:  # lost a race for a port that was free a moment ago
                    if attempt == 2 or (chosen and not is_free(chosen)):
                        raise
        except BaseException:
            self.stop()
            self.port = chosen
            raise
        return self

    def stop(self) -> None:
        """End the broker in good order and remove a temporary data directory.  May be called at any time."""
        if self._guard:
            assert self._guard.stdin
            with contextlib.suppress(OSError):
                self._guard.stdin.write("stop\n")
                self._guard.stdin.close()
            self._guard.wait()
            if self._classes:
                self._classes.keep()
            self._guard = None
        if self._lock:
            self._lock.close()
        if self._temporary and self.data_dir != Path():
            shutil.rmtree(self.data_dir, ignore_errors=True)
            self.data_dir = Path()
        self._jvm = []

    def kill(self) -> None:
        """kill -9: what a crash leaves behind stays, and `start` begins from there."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._guard:
            self._guard.wait()

    def check(self) -> None:
        """Raise why the broker ended, if it did."""
        if self._guard and self._guard.poll() is not None:
            raise self._failure(f"ended with status {self._guard.returncode}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self) -> None:
        """Everything that later starts share: runtime, jars, a formatted data directory."""
        java = find_java()
        jars = fetch_jars(self.cache_dir, self._maven_url, self._progress)
        self._progress(f"Starting Kafka {VERSION} on Java {java.version}")
        if self._temporary and self.data_dir == Path():
            self.data_dir = Path(tempfile.mkdtemp(prefix="tradeflow-kafka-"))
        try:
            (self.data_dir / "tmp").mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.data_dir).free
            if free < ROOM:
                raise DiskFull(self.data_dir, free, ROOM)
            self._lock = (self.data_dir / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (self.data_dir / "log4j2.properties").write_text(LOGGING)
        except (
            BlockingIOError
        ):  # Kafka's own lock comes too late: the second one's controller has written by then
            raise DataDirUnusable(self.data_dir, "another Kafka is using it") from None
        except OSError as error:
            raise DataDirUnusable(self.data_dir, error.strerror or str(error)) from error
        self._jvm = [
            str(java.path),
            *jvm_options(java.major),
            *self._jmx,
            f"-Djava.io.tmpdir={self.data_dir / 'tmp'}",
            f"-XX:ErrorFile={self.data_dir / 'jvm-crash.log'}",
            f"-Dlog4j2.configurationFile={(self.data_dir / 'log4j2.properties').as_uri()}",
        ]
        self._class_path = os.pathsep.join(map(str, jars))
        self._classes = ClassArchive(java, self.cache_dir)

    def _launch(self) -> None:
        configuration = self.data_dir / "server.properties"
        logs = self.data_dir / "logs"
        configuration.write_text(server_properties(self.port, free_port(), logs, self._properties))
        assert self._classes
        if not (logs / "meta.properties").exists() and not self._formatted.write(logs):
            self._format(configuration, self._classes.use())
            self._formatted.keep(logs)
        classes = [*self._classes.use_or_make(), "-cp", self._class_path]
        command = [*self._jvm, *classes, "kafka.Kafka", str(configuration)]
        temporary = str(self.data_dir) if self._temporary else ""
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), temporary, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                pass_fds=[self._lock.fileno()] if self._lock else [],  # locked as long as the broker may live
                start_new_session=True,  # Ctrl-C is its owner's to handle
            )
        assert self._guard.stdout
        self.pid = int(self._guard.stdout.readline())
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(self.port):
            self.check()
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {START_TIMEOUT:.0f} s")
            time.sleep(0.02)

    def _format(self, configuration: Path, class_data: list[str]) -> None:
        tool = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={new_id()}",
            "--config",
            str(configuration),
        ]
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            command = [*self._jvm, *class_data, "-cp", self._class_path, *tool]
            status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode  # noqa: S603
        if status:
            raise self._failure(f"could not format its data directory (status {status})")

    def _failure(self, what: str) -> KafkaError:
        """The error that the log since the last start tells of."""
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            log = file.read().decode(errors="replace")
        if "No space left on device" in log or "Disk quota exceeded" in log:
            return DiskFull(self.data_dir, shutil.disk_usage(self.data_dir).free, ROOM)
        if "Address already in use" in log:
            return PortTaken(self.port, port_holder(self.port))
        if "Permission denied" in log or "Read-only file system" in log:
            return DataDirUnusable(self.data_dir, "it can't be written")
        return BrokerFailed(what, self.log_file, log[-2000:])


def _answers(port: int) -> bool:
    """Whether the broker answers ApiVersions (key 18, version 0, correlation id 7) without an error."""
    request = struct.pack(">ihhih", 10, 18, 0, 7, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            reply = connection.makefile("rb").read(10)
    except OSError:
        return False
    return len(reply) == 10 and struct.unpack(">iih", reply)[1:] == (7, 0)
