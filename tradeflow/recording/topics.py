"""What Kafka holds of some topics, from one moment to another, as a header and a stream of records."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from aiokafka import TopicPartition

from tradeflow import topics
from tradeflow.cluster.reader import KafkaReader, NoTopicError
from tradeflow.messages import Terms
from tradeflow.recording.form import Record

CHECKPOINT = "checkpoint"
"""Name of what the records are of that hold the state at the log's first offset; key: table/key."""
CAUSED = frozenset((topics.ORDERS, topics.EXECUTIONS))
"""Topics whose records follow from the log, and reach Kafka later than their cause."""
BEFORE_MS = 60_000
AFTER_MS = 600_000
"""How much of them is taken before the beginning and after the end, for what was late; a replay knows what counts."""
SETTLE = 15.0
"""Seconds to wait until workers have done everything up to the end of the log."""

Ranges = dict[TopicPartition, tuple[int, int]]


class Start(NamedTuple):
    """Where to begin: the log's first records, a moment (ns), an offset, or now with the workers' state."""

    time: int | None = None
    offset: int | None = None
    now: bool = False


class Capture:
    """Ranges of topics.  `groups`: consumer groups that workers may have here; `stop()`: a follower's end."""

    def __init__(self, reader: KafkaReader, names: Iterable[str], groups: Iterable[str]) -> None:
        self._reader = reader
        self._names = list(names)
        self._groups = list(groups)
        self._first: dict[TopicPartition, int] = {}
        self._state: list[Record] = []
        self.settled = True
        """All that the log's records caused is in Kafka, so far as it was read: known at the end."""

    async def begin(self, start: Start) -> dict[str, dict[int, int]]:
        """Find where each partition begins: topic → partition → offset.  Raises NoTopicError."""
        reader = self._reader
        partitions = await reader.partitions(self._names)
        log = [tp for tp in partitions if tp.topic == topics.MARKET_EVENTS]
        self._first = await reader.begins(partitions)
        if start.now:
            since = int(time.time() * 1000)
            self._first |= await reader.at_time([tp for tp in partitions if tp not in log], since - BEFORE_MS)
            await self._begin_at_checkpoint(log)
        elif start.time is not None:
            since = start.time // 1_000_000
            late = [tp for tp in partitions if tp.topic in CAUSED]
            self._first |= await reader.at_time(partitions, since)
            self._first |= await reader.at_time(late, since - BEFORE_MS)
        elif start.offset is not None:
            for tp in log or partitions:
                self._first[tp] = max(self._first[tp], start.offset)
        found: dict[str, dict[int, int]] = {}
        for tp, offset in self._first.items():
            found.setdefault(tp.topic, {})[tp.partition] = offset
        return found

    async def records(
        self, until: int | None = None, follow: Callable[[], bool] | None = None
    ) -> AsyncIterator[Record]:
        """All up to a moment (ns) or to what is there now; with `follow` for as long as it returns True."""
        reader = self._reader
        for record in self._state:
            yield record
        at = dict(self._first)
        while True:
            ends = await (reader.ends(at) if until is None else reader.at_time(at, until // 1_000_000))
            async for record in reader.merged({tp: (at[tp], ends[tp]) for tp in at}):
                yield record
            at = {tp: max(at[tp], ends[tp]) for tp in at}
            if follow is None or not follow():
                break
            await asyncio.sleep(0.25)
        self.settled = await self._settle(
            {tp: end for tp, end in at.items() if tp.topic == topics.MARKET_EVENTS}
        )
        late = [tp for tp in at if tp.topic in CAUSED]
        ends = await (
            reader.ends(late) if until is None else reader.at_time(late, until // 1_000_000 + AFTER_MS)
        )
        async for record in reader.merged({tp: (at[tp], ends[tp]) for tp in late}):
            yield record

    async def _settle(self, log: Mapping[TopicPartition, int]) -> bool:
        """Wait until some group of workers has committed the log up to there."""
        deadline = time.monotonic() + SETTLE
        known = dict.fromkeys(log, 0)
        while log:
            for group in self._groups:
                for tp, offset in (await self._reader.committed(group, log)).items():
                    known[tp] = max(known[tp], offset)
            if all(known[tp] >= end for tp, end in log.items()):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.25)
        return True

    async def _begin_at_checkpoint(self, log: list[TopicPartition]) -> None:
        """Where workers have left a checkpoint, its state, and the log from its cut on."""
        for group in self._groups:
            with contextlib.suppress(NoTopicError):
                for partition, (cut, state) in (await read_checkpoint(self._reader, group)).items():
                    self._state += [
                        Record(CHECKPOINT, partition, cut, 0, f"{table}/{key}".encode(), value)
                        for (table, key), value in state.items()
                    ]
                    for tp in log:
                        if tp.partition == partition:
                            self._first[tp] = cut + 1


async def read_checkpoint(
    reader: KafkaReader, group: str
) -> dict[int, tuple[int, dict[tuple[str, str], bytes]]]:
    """The state of the last complete checkpoint that a group's workers left: partition → (cut, (table, key) → value).

    Raises NoTopicError where it never ran, LookupError if they have gone on too far meanwhile."""
    from tradeflow.worker.slots import CUT_KEY, cut_of, replaces, state_at
    from tradeflow.worker.state_tables import TABLES

    names = {f"{group}-{table}-changelog": table for table in TABLES}
    partitions = await reader.partitions(names)
    begins, ends = await reader.begins(partitions), await reader.ends(partitions)
    cuts: dict[int, int] = {}
    slots: dict[int, dict[tuple[str, str], list[bytes]]] = {}
    for tp in partitions:
        last: dict[bytes, bytes] = {}
        async for batch in reader.read(tp, begins[tp], ends[tp]):
            for record in batch:
                if record.key and record.value and replaces(record.value, last.get(record.key, record.value)):
                    last[record.key] = record.value
        for key, value in last.items():
            if key == CUT_KEY.encode():
                cuts[tp.partition] = cut_of(value)
            else:
                place = (names[tp.topic], key.decode().rpartition("#")[0])
                slots.setdefault(tp.partition, {}).setdefault(place, []).append(value)
    return {partition: (cut, state_at(slots.get(partition, {}), cut)) for partition, cut in cuts.items()}


async def last_terms(reader: KafkaReader) -> dict[str, dict[str, str]]:
    """What workers have agreed on last: group → terms.  Empty where none has run."""
    found: dict[str, dict[str, str]] = {}
    with contextlib.suppress(NoTopicError):
        (control,) = await reader.partitions([topics.CONTROL])
        begin, end = (await reader.begins([control]))[control], (await reader.ends([control]))[control]
        async for batch in reader.read(control, begin, end):
            for record in batch:
                with contextlib.suppress(msgspec.MsgspecError):  # an operator's word
                    terms = msgspec.json.decode(record.value or b"", type=Terms)
                    found[terms.scope] = terms.terms
    return found
