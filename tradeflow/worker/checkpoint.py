"""Live markets and their checkpoints in RocksDB-backed tables, atomic for each partition (slots.py)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from faust.types import TP

from tradeflow.market import Market
from tradeflow.worker.outbox import Outbox, Sent
from tradeflow.worker.slots import SlotRecord, Slots
from tradeflow.worker.state_tables import LocalStateError, StateTable
from tradeflow.worker.transport import Cut, Hold


class LiveMarket(NamedTuple):
    market: Market
    slots: Slots[StateTable]


class Markets:
    """The live markets of the partitions that this worker owns, and their checkpoints.

    `create(partition)` makes an empty Market; `topic` is the log that they apply; `tables` hold their state,
    the first of them also the partition's cut; `generation()` is that of the consumer group."""

    def __init__(
        self,
        topic: str,
        tables: Mapping[str, StateTable],
        outbox: Outbox,
        create: Callable[[int], Market],
        generation: Callable[[], int],
    ) -> None:
        self._topic = topic
        self._tables = tables
        self._marker = next(iter(tables.values()), None)
        self._outbox = outbox
        self._create = create
        self._generation = generation
        self._live: dict[int, LiveMarket] = {}
        self._applied: dict[int, int] = {}
        self._unsaved: dict[int, dict[tuple[str, str], bytes]] = {}
        """What was taken and never saved, for the broker refused that checkpoint: part of the next one."""
        self._saving: asyncio.Task[bool] | None = None
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
            slots = Slots(self._tables, self._marker, partition, self._generation())
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

    async def save(self, cuts: Iterable[Cut], hold: Hold) -> bool:
        # Who waits for it may give up, but what has begun goes on to its end, and the next one begins after that: the
        # slots of the last complete checkpoint are written over only when this one counts.
        await self.settled()
        self._saving = asyncio.create_task(self._save(cuts, hold))
        return await asyncio.shield(self._saving)

    async def settled(self) -> None:
        if self._saving is not None:
            await asyncio.wait([self._saving])

    async def _save(self, cuts: Iterable[Cut], hold: Hold) -> bool:
        started = time.monotonic()
        saved = [(cut, self._live[cut.tp.partition].slots) for cut in cuts]
        values = [one for cut, slots in saved for one in slots.records(cut.writes, cut.offset)]
        try:
            # Until Kafka has all values it may be long.  Whoever has the partitions by then wants no mark of ours.
            if not (await self._write(values, hold) and await hold.prove()):
                return False
            if not await self._write([slots.mark(cut.offset) for cut, slots in saved], hold):
                return False
        except LocalStateError as error:
            self._outbox.fail(str(error), "Nothing is lost.")
            raise
        for cut, slots in saved:
            slots.completed(cut.writes, cut.offset)
            unsaved = self._unsaved[cut.tp.partition]
            for place, value in cut.writes.items():
                if unsaved[place] is value:  # else: it has changed since
                    del unsaved[place]
        self.checkpoints += 1
        self.checkpoint_seconds = time.monotonic() - started
        self.all_checkpoint_seconds += self.checkpoint_seconds
        return True

    async def _write(self, records: Iterable[SlotRecord[StateTable]], hold: Hold) -> bool:
        """To the changelogs, then locally: what is there is a part of what is in Kafka, and goes on from that.

        False, and nothing is written locally, if the partitions have been given up meanwhile."""
        sent: dict[tuple[StateTable, int], list[tuple[SlotRecord[StateTable], asyncio.Future[Sent]]]] = {}
        for record in records:
            table, partition, key, value = record
            future = self._outbox.append(table.changelog_topic.get_topic_name(), partition, key, value)
            sent.setdefault((table, partition), []).append((record, future))
        if sent:
            await asyncio.wait({future for group in sent.values() for _, future in group})
        if self._outbox.error is not None:
            raise self._outbox.error
        if not hold.held():
            return False
        for (table, partition), group in sent.items():
            batches = dict.fromkeys(future.result() for _, future in group)
            table.store(partition, ((one.key, one.value) for one, _ in group), batches)
        return True

    def reset(self) -> None:
        self._live.clear()
        self._applied.clear()
        self._unsaved.clear()
