"""Records between two offsets, on a real Kafka."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tradeflow.cluster.reader import KafkaReader, NoTopicError

pytestmark = pytest.mark.integration

COUNT = 1_200
"""Records a partition: more than one batch."""


@pytest.fixture(scope="module")
def topic(kafka: str) -> str:
    """Two partitions whose timestamps alternate, 10 ms apart."""
    asyncio.run(_make(kafka))
    return "read-me"


async def _make(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("read-me", 2, 1)])
    await admin.close()
    start = int(time.time() * 1000) - 60_000
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for n in range(COUNT):
            for partition in (0, 1):
                value, at = f"{partition}-{n}".encode(), start + 10 * (2 * n + partition)
                sent = await producer.send("read-me", value, partition=partition, timestamp_ms=at)
        await sent


async def test_bounds_are_kept_and_partitions_are_merged_by_time(kafka: str, topic: str) -> None:
    async with KafkaReader({"bootstrap_servers": kafka}) as reader:
        one, other = await reader.partitions([topic])
        assert await reader.begins([one]) == {one: 0}
        assert await reader.ends([one, other]) == {one: COUNT, other: COUNT}
        read = [record async for batch in reader.read(one, 5, 1_100) for record in batch]
        assert [record.offset for record in read] == list(range(5, 1_100))
        assert [batch async for batch in reader.read(one, 7, 7)] == []
        merged = [record async for record in reader.merged({one: (3, COUNT), other: (0, 1_000)})]
        assert [record.timestamp for record in merged] == sorted(record.timestamp for record in merged)
        for tp, offsets in ((one, range(3, COUNT)), (other, range(1_000))):
            assert [r.offset for r in merged if r.partition == tp.partition] == list(offsets)
        assert await reader.at_time([one], merged[0].timestamp) == {one: 1}
        assert await reader.at_time([one], int(time.time() * 1000)) == {one: COUNT}
        assert [record async for record in reader.merged({})] == []


async def test_a_topic_that_is_not_there_is_told(kafka: str) -> None:
    async with KafkaReader({"bootstrap_servers": kafka}) as reader:
        with pytest.raises(NoTopicError, match="no topic 'nothing'"):
            await reader.partitions(["nothing"])


async def test_it_ends_also_when_it_has_just_turned_elsewhere(kafka: str, topic: str) -> None:
    """aiokafka alone would wait for ever in some of these."""
    for _ in range(15):
        async with asyncio.timeout(10), KafkaReader({"bootstrap_servers": kafka}) as reader:
            async for _batch in reader.read(TopicPartition(topic, 0), 0, COUNT):
                break
            reader._consumer.assign([TopicPartition(topic, 1)])
            await asyncio.sleep(0)
