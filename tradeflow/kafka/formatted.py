"""A formatted data directory without a second JVM: what formatting writes is the same each time, but for the ids.

Optional: where nothing is kept, or can't be, each new directory is formatted by Kafka's own tool, a second longer."""

from __future__ import annotations

import base64
import contextlib
import shutil
import uuid
from pathlib import Path

from tradeflow.kafka.jars import jars_home, unfinished
from tradeflow.kafka.properties import NODE


class Formatted:
    """The records of a new cluster, kept beside the jars of their version by the first one that Kafka's tool made."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._kept = jars_home(cache_dir) / "bootstrap.checkpoint"

    def write(self, logs: Path) -> bool:
        """Format a directory, as a cluster of its own.  False if nothing is kept yet."""
        try:
            records = self._kept.read_bytes()
        except OSError:
            return False
        logs.mkdir(parents=True, exist_ok=True)
        (logs / self._kept.name).write_bytes(records)
        ids = f"cluster.id={new_id()}\ndirectory.id={new_id()}\n"
        (logs / "meta.properties").write_text(
            f"version=1\nnode.id={NODE}\n{ids}"
        )  # the last: with it, it is formatted
        return True

    def keep(self, logs: Path) -> None:
        """After Kafka's tool has formatted a directory."""
        with contextlib.suppress(OSError):  # a cache that only others may write
            copy = unfinished(self._cache_dir) / f"{uuid.uuid4().hex}.checkpoint"
            shutil.copyfile(logs / self._kept.name, copy)
            copy.replace(self._kept)


def new_id() -> str:
    """As Kafka writes them: 16 bytes, base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
