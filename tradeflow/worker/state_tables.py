"""Faust tables that hold state as bytes, and the directory that they are in."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faust
import faust.tables
from faust.types import TP

from tradeflow.worker.outbox import Sent
from tradeflow.worker.slots import replaces

log = logging.getLogger(__name__)

TABLES = {
    "order_books": "Every book with its levels, state and provenance.",
    "strategy_states": "Strategies' states, orders, positions, the gate's and the venue's memory.",
}
"""Name → what it holds; the first one also each partition's cut."""


def claim_data_dir(directory: Path, cluster: str) -> None:
    """Make the directory of local state this cluster's.

    The offsets in it belong to one cluster; what another one left is put aside and the state read anew."""
    directory.mkdir(parents=True, exist_ok=True)
    owner = directory / "cluster-id"
    known = owner.read_text().strip() if owner.exists() else cluster
    if known != cluster:
        aside = directory / f"of-cluster-{known}"
        log.warning("%s holds state of Kafka cluster %s: moved to %s", directory, known, aside.name)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for version in directory.glob("v*"):
            version.rename(aside / version.name)
    owner.write_text(cluster)


class LocalStateError(RuntimeError):
    """RocksDB can't write: the disk is full or broken."""


@contextmanager
def local(table: StateTable) -> Iterator[None]:
    """Writes to a table's files.  Raises LocalStateError."""
    try:
        yield
    except Exception as error:  # rocksdict has no class of its own for what RocksDB says
        raise LocalStateError(
            f"local state in {table.app.conf.datadir} can't be written: {error}. Make room there, or set"
            " TRADEFLOW_DATA_DIR, and start the worker again"
        ) from None


class StateTable(faust.Table):  # type: ignore[type-arg]
    """A table of stamped values; recovery keeps of two the one that replaces the other."""

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        fresh: dict[tuple[int, bytes], Any] = {}
        last: dict[TP, int] = {}
        for event in batch:
            message = event.message
            last[message.tp] = message.offset
            place = (message.partition, message.key)
            known = fresh[place].message.value if place in fresh else self.stored(*place)
            if message.value is None or known is None or replaces(message.value, known):
                fresh[place] = event
        with local(self):
            super().apply_changelog_batch(fresh.values())
            for tp, offset in last.items():
                self.data.set_persisted_offset(tp, offset)

    def store(self, partition: int, records: Iterable[tuple[bytes, bytes]], batches: Iterable[Sent]) -> None:
        """Write records locally that the changelog has got in `batches`.  Raises LocalStateError.

        Recovery goes on from the persisted offset: it moves only where nothing of somebody else's is between."""
        tp = TP(self.changelog_topic.get_topic_name(), partition)
        with local(self):
            put = self.data._db_for_partition(partition).put  # type: ignore[attr-defined]
            for key, value in records:
                put(key, value)
            known = self.data.persisted_offset(tp)
            end = -1 if known is None else known
            for last, count in batches:
                if last - count != end:
                    return
                end = last
                self.data.set_persisted_offset(tp, end)

    def stored(self, partition: int, key: bytes) -> bytes | None:
        value: bytes | None = self.data._db_for_partition(partition).get(key)  # type: ignore[attr-defined]
        return value


class StateTables(faust.tables.TableManager):
    """Faust's table manager, which would sleep a second at each start, for agents that may still be starting."""

    async def on_start(self) -> None:
        await self.app.agents.wait_until_agents_started()
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
