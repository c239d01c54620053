"""The outbox against a real Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tradeflow.topics import TopicSpec, declare_topics
from tradeflow.worker.outbox import Outbox, SendError

pytestmark = pytest.mark.integration

PARTITIONS = 3


@pytest.fixture
async def topic(kafka: str) -> str:
    name = f"outbox-{uuid.uuid4().hex[:8]}"
    await declare_topics({"bootstrap_servers": kafka}, [TopicSpec(name, PARTITIONS, 3_600_000)])
    return name


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=256 * 1024, linger_ms=0) as producer:
        yield producer


@pytest.fixture
def failures() -> list[SendError]:
    return []


@pytest.fixture
def outbox(producer: AIOKafkaProducer, failures: list[SendError]) -> Outbox:
    return Outbox(lambda: producer, on_failure=failures.append, limit=1_000_000)


async def read_all(kafka: str, topic: str) -> dict[int, list[bytes]]:
    async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
        while any(len(found[tp.partition]) < end for tp, end in ends.items()):
            for tp, records in (await consumer.getmany(timeout_ms=1000)).items():
                found[tp.partition] += [record.value for record in records]
        return found


async def test_everything_arrives_in_order_once(kafka: str, topic: str, outbox: Outbox) -> None:
    sent: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    for number in range(20_000):
        value = b"%d" % number
        outbox.append(topic, number % PARTITIONS, b"key", value)
        sent[number % PARTITIONS].append(value)
        if number % 500 == 0:
            await outbox.room()
            await asyncio.sleep(0)
    await outbox.settle()
    assert outbox.pending_bytes == 0
    assert await read_all(kafka, topic) == sent


async def test_append_tells_the_last_offset_of_its_batch(topic: str, outbox: Outbox) -> None:
    first = outbox.append(topic, 0, b"k", b"a")
    second = outbox.append(topic, 0, b"k", b"b")
    assert await first == await second == (1, 2)
    assert (await outbox.append(topic, 0, b"k", b"c")).last_offset == 2


async def test_room_waits_for_acknowledgements_and_bounded_refuses(topic: str, outbox: Outbox) -> None:
    outbox.append(topic, 0, b"k", b"x" * 200_000)
    for _ in range(6):
        outbox.append(topic, 0, b"k", b"x" * 200_000)
    assert outbox.pending_bytes > 1_000_000
    with pytest.raises(BufferError, match="1400007 bytes wait for Kafka, 1000000 are allowed"):
        outbox.append(topic, 0, b"k", b"more", bounded=True)
    await outbox.room()
    assert outbox.pending_bytes <= 1_000_000
    await outbox.settle()


async def test_a_refused_record_fails_settle_and_tells_the_owner(
    topic: str, outbox: Outbox, failures: list[SendError]
) -> None:
    fine = outbox.append(topic, 0, b"k", b"fine")
    await fine
    outbox.append(topic, PARTITIONS + 5, b"k", b"no such partition")
    with pytest.raises(SendError, match=f"{topic}/{PARTITIONS + 5}"):
        await outbox.settle()
    assert len(failures) == 1
    with pytest.raises(SendError):
        outbox.append(topic, 0, b"k", b"after")


async def test_a_record_larger_than_the_broker_takes_fails(
    topic: str, producer: AIOKafkaProducer, outbox: Outbox, failures: list[SendError]
) -> None:
    outbox.append(topic, 0, b"k", b"x" * (17 * 1024 * 1024))
    with pytest.raises(SendError, match="did not take 1 records"):
        await outbox.settle()
    assert failures


async def test_a_batch_keeps_its_leader_when_the_client_begins_to_follow_another_topic(
    kafka: str, topic: str, producer: AIOKafkaProducer, outbox: Outbox
) -> None:
    """A client that follows no topic knows all of them; with the first that it follows it forgets the others, and
    what is queued for them waits for a leader that nobody asks for any more."""
    other = f"{topic}-other"
    await declare_topics({"bootstrap_servers": kafka}, [TopicSpec(other, PARTITIONS, 3_600_000)])
    await producer.client.force_metadata_update()
    (node,) = (broker.nodeId for broker in producer.client.cluster.brokers())
    queue = producer._message_accumulator
    producer._sender._in_flight.add(node)  # as while an earlier request is on its way
    outbox.append(topic, 0, b"key", b"value")
    while not queue._batches:
        await asyncio.sleep(0)
    await producer.client.add_topic(other)
    producer._sender._in_flight.remove(node)
    queue._waiter_future.set_result(None)
    async with asyncio.timeout(20):
        await outbox.settle()
    assert (await read_all(kafka, topic))[0] == [b"value"]
