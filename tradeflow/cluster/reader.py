"""`KafkaReader`: records of any topic between two offsets, read outside of all groups."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from tradeflow.cluster.started import started
from tradeflow.recording.form import Record

BATCH = 500
"""Records of a partition that are held at once."""

MAX_WAIT_MS = 20
PATIENCE = 1.0
"""Seconds."""


class NoTopicError(LookupError):
    """Kafka has no such topic; the message says what to do."""


class KafkaReader:
    """Reads while the context lasts.  `client` = keyword arguments of any aiokafka client.

    Raises aiokafka's errors where Kafka doesn't answer."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        # A fetch that waits for more at some partition's end would hold up the next one, of another partition.
        self._consumer = AIOKafkaConsumer(
            **client, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=MAX_WAIT_MS
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # aiokafka's fetcher swallows a cancellation that meets it while it drops an assignment, and stop() waits on.
        stopping = asyncio.ensure_future(self._consumer.stop())
        while not (await asyncio.wait([stopping], timeout=PATIENCE))[0]:
            self._consumer._fetcher._fetch_task.cancel()
        await stopping

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of these topics, sorted.  Raises NoTopicError."""
        known = await self._consumer.topics()
        found = []
        for topic in topics:
            if topic not in known:
                raise NoTopicError(
                    f"this Kafka has no topic {topic!r}: no worker has run on it yet, or KAFKA_BROKERS is another's"
                )
            numbers = await self._consumer._client._wait_on_metadata(topic)
            found += [TopicPartition(topic, number) for number in sorted(numbers)]
        return found

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that is still there."""
        return dict(await self._consumer.beginning_offsets(list(partitions)))

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record."""
        return dict(await self._consumer.end_offsets(list(partitions)))

    async def at_time(self, partitions: Iterable[TopicPartition], time: int) -> dict[TopicPartition, int]:
        """The first offset with a timestamp (ms) of `time` or later; the end where there is none."""
        partitions = list(partitions)
        ends = await self.ends(partitions)
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, max(time, 0)))
        return {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in partitions}

    async def read(self, tp: TopicPartition, first: int, end: int) -> AsyncIterator[list[Record]]:
        """The records of one partition from `first` up to `end` (not with it), a batch at a time."""
        if first >= end:
            return
        self._consumer.assign([tp])
        self._consumer.seek(tp, first)
        # By the position, not the last record's offset: what compaction took leaves holes.
        while await self._consumer.position(tp) < end:
            came = await self._consumer.getmany(tp, timeout_ms=1000, max_records=BATCH)
            yield [as_record(tp, record) for record in came.get(tp, ()) if record.offset < end]

    async def merged(self, ranges: Mapping[TopicPartition, tuple[int, int]]) -> AsyncIterator[Record]:
        """What is between first and end offset, of all partitions in the order of Kafka's timestamps."""
        waiting: dict[TopicPartition, deque[Any]] = {
            tp: deque() for tp, (first, end) in ranges.items() if first < end
        }
        if waiting:
            self._consumer.assign(list(waiting))
        for tp in waiting:
            self._consumer.seek(tp, ranges[tp][0])
        heads: list[tuple[int, TopicPartition]] = []
        empty = set(waiting)
        while waiting:
            while empty:
                for tp in list(empty):
                    if waiting[tp]:
                        heapq.heappush(heads, (waiting[tp][0].timestamp, tp))
                        empty.discard(tp)
                    elif await self._consumer.position(tp) >= ranges[tp][1]:
                        empty.discard(tp)
                        del waiting[tp]
                if empty:
                    came = await self._consumer.getmany(
                        *empty, timeout_ms=1000, max_records=BATCH * len(empty)
                    )
                    for tp, records in came.items():
                        waiting[tp].extend(record for record in records if record.offset < ranges[tp][1])
            if heads:
                _, tp = heapq.heappop(heads)
                yield as_record(tp, waiting[tp].popleft())
                if waiting[tp]:
                    heapq.heappush(heads, (waiting[tp][0].timestamp, tp))
                else:
                    empty.add(tp)

    async def follow(
        self, first: Mapping[TopicPartition, int], patience: float = 0.5
    ) -> AsyncIterator[list[Record]]:
        """What is and will be behind these offsets, without end; an empty list where nothing came for `patience`
        seconds."""
        self._consumer.assign(list(first))
        for tp, offset in first.items():
            self._consumer.seek(tp, offset)
        while True:
            came = await self._consumer.getmany(timeout_ms=round(patience * 1000), max_records=BATCH)
            yield [as_record(tp, record) for tp, records in came.items() for record in records]

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that a group of workers goes on from; 0 where it has committed none."""
        async with started(
            AIOKafkaConsumer(**self._client, group_id=group, enable_auto_commit=False)
        ) as consumer:
            return {tp: await consumer.committed(tp) or 0 for tp in partitions}


def as_record(tp: TopicPartition, record: Any) -> Record:
    """Of one of aiokafka's."""
    return Record(tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value)
