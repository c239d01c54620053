"""Live markets and their checkpoints in RocksDB-backed tables, atomic for each partition.

A cut of a partition is many table records, and a crash can fall between any two of them.  So each key has
two slots, `key#0` and `key#1`: a checkpoint writes the slot that the last complete one does not use, and the
record `cut` of the partition, written last, says up to which offset the slots are complete.  A reader takes, of
each key, the newest slot at or below that cut; an interrupted checkpoint is never seen.  Each value starts with
its cut's offset (8 bytes, big endian), so that a late write of a worker that lost the partition cannot replace
a newer one.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import faust
import faust.tables
from faust.types import TP

from tradeflow.market import Market
from tradeflow.worker.outbox import Outbox, Sent
from tradeflow.worker.transport import Cut

log = logging.getLogger(__name__)

TABLES = {
    "order_books": "Every book with its levels, state and provenance.",
    "strategy_states": "Strategies' states, orders, positions, the gate's and the venue's memory.",
}
"""Name → what it holds; the first one also each partition's cut."""
CUT_KEY = "cut"
_HEADER = struct.Struct(">q")


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
    """A table of bytes whose records carry their cut's offset; recovery keeps the newer of two."""

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        fresh: dict[tuple[int, bytes], Any] = {}
        last: dict[TP, int] = {}
        for event in batch:
            message = event.message
            last[message.tp] = message.offset
            place = (message.partition, message.key)
            known = fresh[place].message.value if place in fresh else self._stored(*place)
            if message.value is None or known is None or cut_of(message.value) >= cut_of(known):
                fresh[place] = event
        with local(self):
            super().apply_changelog_batch(fresh.values())
            for tp, offset in last.items():
                self.data.set_persisted_offset(tp, offset)

    def _stored(self, partition: int, key: bytes) -> bytes | None:
        value: bytes | None = self.data._db_for_partition(partition).get(key)  # type: ignore[attr-defined]
        return value


class StateTables(faust.tables.TableManager):
    """Faust's table manager, which would sleep a second at each start, for agents that may still be starting."""

    async def on_start(self) -> None:
        await self.app.agents.wait_until_agents_started()
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def cut_of(value: bytes) -> int:
    """Offset of the checkpoint that wrote a value."""
    return int(_HEADER.unpack_from(value)[0])


def state_at(slots: Mapping[tuple[str, str], list[bytes]], cut: int) -> dict[tuple[str, str], bytes]:
    """The state as of a complete cut, of both slots of each (table, key).

    Raises LookupError where a slot of that cut has been written over since."""
    state = {}
    for place, values in slots.items():
        newest = max((value for value in values if cut_of(value) <= cut), key=cut_of, default=None)
        if newest is not None:
            state[place] = newest[_HEADER.size :]
        elif len(values) > 1:
            raise LookupError(f"{place}: both slots are newer than the cut at {cut}")
    return state


class _Slots:
    """The two-slot records of one partition in several tables."""

    def __init__(self, tables: Mapping[str, StateTable], marker: StateTable, partition: int) -> None:
        self._tables = tables
        self.marker = marker
        self.partition = partition
        self._newest: dict[tuple[str, str], int] = {}
        stored = marker._stored(partition, CUT_KEY.encode())
        self.cut = cut_of(stored) if stored else -1

    def read(self, table: str, key: str) -> bytes | None:
        """The value of a key as of the cut; None if it had none."""
        newest: bytes | None = None
        for slot in (0, 1):
            value = self._tables[table]._stored(self.partition, f"{key}#{slot}".encode())
            if value and cut_of(value) <= self.cut and (newest is None or cut_of(value) > cut_of(newest)):
                newest = value
                self._newest[table, key] = slot
        return newest[_HEADER.size :] if newest else None

    def records(self, cut: Cut) -> list[tuple[StateTable, bytes, bytes]]:
        """(table, key, value) of each record to write, in the slots that the last cut does not use."""
        header = _HEADER.pack(cut.offset)
        found = []
        for (table, key), value in cut.writes.items():
            slot = 1 - self._newest.get((table, key), 1)
            found.append((self._tables[table], f"{key}#{slot}".encode(), header + value))
        return found

    def completed(self, cut: Cut) -> None:
        for place in cut.writes:
            self._newest[place] = 1 - self._newest.get(place, 1)
        self.cut = cut.offset


class LiveMarket(NamedTuple):
    market: Market
    slots: _Slots


class Markets:
    """The live markets of the partitions that this worker owns, and their checkpoints.

    `create(partition)` makes an empty Market; `topic` is the log that they apply; `tables` hold their state,
    the first of them also the partition's cut."""

    def __init__(
        self, topic: str, tables: Mapping[str, StateTable], outbox: Outbox, create: Callable[[int], Market]
    ) -> None:
        self._topic = topic
        self._tables = tables
        self._marker = next(iter(tables.values()), None)
        self._outbox = outbox
        self._create = create
        self._live: dict[int, LiveMarket] = {}
        self._applied: dict[int, int] = {}
        self._unsaved: dict[int, dict[tuple[str, str], bytes]] = {}
        """What was taken and never saved, for the broker refused that checkpoint: part of the next one."""
        self.checkpoints = 0
        self.checkpoint_seconds = 0.0
        """How long the last checkpoint took until the broker had acknowledged it."""
        self.all_checkpoint_seconds = 0.0

    def __getitem__(self, partition: int) -> Market:
        """The live market of a partition."""
        return self.load(partition).market

    def load(self, partition: int) -> LiveMarket:
        """The live market of a partition, from the tables if it isn't in memory yet."""
        live = self._live.get(partition)
        if live is None:
            assert self._marker is not None, "a worker that only runs feeds has no markets"
            slots = _Slots(self._tables, self._marker, partition)
            live = self._live[partition] = LiveMarket(self._create(partition), slots)
            live.market.restore(slots.read)
        return live

    def owned(self) -> dict[int, Market]:
        return {partition: live.market for partition, live in self._live.items()}

    def first_new(self, partition: int) -> int:
        """Offset of the first record that is not part of the partition's state."""
        return self.load(partition).slots.cut + 1

    def applied(self, partition: int, offset: int) -> None:
        """Everything up to `offset` is in the market, and what it caused is in the outbox."""
        self._applied[partition] = offset

    # -- transport.State

    def holds(self, topic: str) -> bool:
        return topic == self._topic

    def take(self) -> list[Cut]:
        cuts = []
        for partition, offset in self._applied.items():
            live = self._live[partition]
            if offset > live.slots.cut:
                unsaved = self._unsaved.setdefault(partition, {})
                unsaved |= live.market.take_dirty()
                cuts.append(Cut(TP(self._topic, partition), offset, dict(unsaved)))
        self._applied.clear()
        return cuts

    async def save(self, cuts: Iterable[Cut]) -> None:
        try:
            await self._save(cuts)
        except LocalStateError as error:
            self._outbox.fail(str(error), "Nothing is lost.")
            raise

    async def _save(self, cuts: Iterable[Cut]) -> None:
        started = time.monotonic()
        saved = [(cut, self._live[cut.tp.partition].slots) for cut in cuts]
        await self._write(
            [(slots.partition, record) for cut, slots in saved for record in slots.records(cut)]
        )
        for cut, slots in saved:
            slots.completed(cut)
        await self._write(
            [
                (slots.partition, (slots.marker, CUT_KEY.encode(), _HEADER.pack(cut.offset)))
                for cut, slots in saved
            ]
        )
        for cut, _ in saved:
            self._unsaved.pop(cut.tp.partition, None)
        self.checkpoints += 1
        self.checkpoint_seconds = time.monotonic() - started
        self.all_checkpoint_seconds += self.checkpoint_seconds

    async def _write(self, records: list[tuple[int, tuple[StateTable, bytes, bytes]]]) -> None:
        sent: dict[tuple[int, str], tuple[StateTable, asyncio.Future[Sent]]] = {}
        futures: set[asyncio.Future[Sent]] = set()
        for partition, (table, key, value) in records:
            with local(table):
                table.data._db_for_partition(partition).put(key, value)  # type: ignore[attr-defined]
            future = self._outbox.append(table.changelog_topic.get_topic_name(), partition, key, value)
            futures.add(future)
            sent[partition, table.name] = (table, future)
        if futures:
            await asyncio.wait(futures)
        if self._outbox.error is not None:
            raise self._outbox.error
        for (partition, _), (table, future) in sent.items():
            tp = TP(table.changelog_topic.get_topic_name(), partition)
            with local(table):
                table.data.set_persisted_offset(tp, future.result().last_offset)

    def reset(self) -> None:
        self._live.clear()
        self._applied.clear()
        self._unsaved.clear()
