"""What the harness asks of Kafka: topics, a preloaded log, how far a contestant has come, what it wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError

EVENTS = "market-events"
TOPS = "top-of-book"

_MAX_BYTES = 16 * 1024 * 1024


@asynccontextmanager
async def producer(brokers: str) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=brokers, acks="all", max_batch_size=1 << 20) as made:
        yield made


async def send(
    to: AIOKafkaProducer, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]
) -> None:
    """All of `records` (key, value), in order; returns when the broker has acknowledged them."""
    if not records:
        return
    batch = to.create_batch()
    for key, value in records:
        if batch.append(key=key, value=value, timestamp=None) is None:
            batch.close()
            last = await to.send_batch(batch, topic, partition=partition)
            batch = to.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    batch.close()
    last = await to.send_batch(batch, topic, partition=partition)
    await last


class Watch:
    """Ends, commits and contents of topics, read outside any group."""

    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self._admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=brokers)

    async def __aenter__(self) -> Self:
        await self._admin.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def create(self, *names: str, partitions: int) -> None:
        configs = {"max.message.bytes": str(_MAX_BYTES), "message.timestamp.type": "LogAppendTime"}
        await self._admin.create_topics(
            [
                NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=configs)
                for name in names
            ]
        )
        for name in names:
            await self.ends(name)  # answered once every partition has a leader

    async def ends(self, topic: str) -> list[int]:
        """End offset of each partition."""
        counts = await self._partitions(topic)
        found = await self._consumer.end_offsets([TopicPartition(topic, number) for number in range(counts)])
        return [found[TopicPartition(topic, number)] for number in range(counts)]

    async def committed(self, group: str, topic: str, offsets: Sequence[int]) -> bool:
        """Whether the group has committed each partition at least up to its offset; a worker that writes to the
        topic itself (clock) goes on beyond it."""
        found = await self._admin.list_consumer_group_offsets(group)
        tps = [TopicPartition(topic, number) for number in range(len(offsets))]
        return all(
            tp in found and found[tp].offset >= wanted for tp, wanted in zip(tps, offsets, strict=True)
        )

    async def members(self, group: str) -> int:
        """How many the group has, dead ones included until their session times out; 0 on a broker that has never
        had a group."""
        try:
            [response] = await self._admin.describe_consumer_groups([group])
        except GroupCoordinatorNotAvailableError:
            return 0
        return sum(len(described[5]) for described in response.groups)

    async def read(self, topic: str) -> list[Any]:
        """Every record of the topic as it is now, partition by partition."""
        ends = {TopicPartition(topic, number): end for number, end in enumerate(await self.ends(topic))}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_MAX_BYTES,
        )
        records: list[Any] = []
        async with consumer:
            consumer.assign([tp for tp, end in ends.items() if end])
            missing = {tp for tp, end in ends.items() if end}
            while missing:
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    records.extend(batch)
                for tp in list(missing):
                    if await consumer.position(tp) >= ends[tp]:
                        missing.discard(tp)
        return records

    async def _partitions(self, topic: str) -> int:
        for _ in range(100):
            [described] = await self._admin.describe_topics([topic])
            if described["partitions"]:
                return len(described["partitions"])
            await asyncio.sleep(0.05)
        raise RuntimeError(f"Kafka does not show topic {topic!r}")
