"""Incremental fetches against a real Kafka: nothing is missed, and only what has records is answered."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from tradeflow.topics import TopicSpec, declare_topics
from tradeflow.worker.fetch_sessions import FetchSessions, _Session
from tradeflow.worker.transport import Fetcher

pytestmark = pytest.mark.integration

PARTITIONS = 20


class Watched:
    """A consumer of all partitions of a new topic; notes of each fetch the partitions named and answered."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka, fetch_max_wait_ms=100, auto_offset_reset="earliest"
        )
        self.fetches: list[tuple[int, int]] = []
        self.errors: list[int] = []
        send: Any = self.consumer._client.send

        async def watch(node_id: int, request: Any, **kwargs: Any) -> Any:
            response = await send(node_id, request, **kwargs)
            if isinstance(request, FetchRequest):
                named, answered = (sum(len(of) for _, of in one.topics) for one in (request, response))
                self.fetches.append((named, answered))
                self.errors.append(response.error_code)
            return response

        self.consumer._client.send = watch  # type: ignore[method-assign]
        self.sessions = FetchSessions(self.consumer)
        self.partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    async def values(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                for records in (await self.consumer.getmany(timeout_ms=500)).values():
                    found += [record.value for record in records]
        return found


@pytest.fixture
async def topic(kafka: str) -> str:
    name = f"sessions-{uuid.uuid4().hex[:8]}"
    await declare_topics({"bootstrap_servers": kafka}, [TopicSpec(name, PARTITIONS, 3_600_000)])
    return name


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=0) as producer:
        yield producer


@pytest.fixture
async def watched(kafka: str, topic: str) -> AsyncIterator[Watched]:
    watched = Watched(kafka, topic)
    async with watched.consumer as consumer:
        consumer.assign(watched.partitions)
        yield watched


async def test_near_the_end_a_fetch_costs_what_moved(
    watched: Watched, producer: AIOKafkaProducer, topic: str
) -> None:
    for number in range(50):
        value = b"%d" % number
        await producer.send_and_wait(topic, value, partition=number % PARTITIONS)
        assert await watched.values(1) == [value]
    assert watched.fetches[0][0] == PARTITIONS
    assert not any(watched.errors)
    late = watched.fetches[20:]
    assert max(named for named, _ in late) <= 2
    assert max(answered for _, answered in late) <= 2
    # What no record has come to is known all the same.
    assert all(watched.consumer.highwater(tp) in (2, 3) for tp in watched.partitions)


async def test_partitions_are_looked_at_once_for_what_a_fetch_brings(
    watched: Watched, producer: AIOKafkaProducer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type(watched.consumer._fetcher) is Fetcher
    looked = 0
    replica = Fetcher._select_read_replica

    def look(self: Fetcher, tp: Any) -> Any:
        nonlocal looked
        looked += 1
        return replica(self, tp)

    monkeypatch.setattr(Fetcher, "_select_read_replica", look)
    await producer.send_and_wait(topic, b"first", partition=0)
    assert await watched.values(1) == [b"first"]
    looked, fetched = 0, len(watched.fetches)
    for number in range(1, 40):
        value = b"%d" % number
        await producer.send_and_wait(topic, value, partition=number % PARTITIONS)
        assert await watched.values(1) == [value]
    fetches = len(watched.fetches) - fetched
    assert looked <= (fetches + 1) * (PARTITIONS + 1), f"{looked} of {PARTITIONS} for {fetches} fetches"


async def test_a_paused_partition_is_not_answered_and_goes_on_where_it_was(
    watched: Watched, producer: AIOKafkaProducer, topic: str
) -> None:
    await producer.send_and_wait(topic, b"0", partition=3)
    assert await watched.values(1) == [b"0"]
    paused = watched.partitions[3]
    watched.consumer.pause(paused)
    await producer.send_and_wait(topic, b"wakes the fetch that still asks for all", partition=4)
    assert len(await watched.values(1)) == 1
    await producer.send_and_wait(topic, b"1", partition=3)
    await producer.send_and_wait(topic, b"2", partition=4)
    assert await watched.values(1) == [b"2"]
    answered = len(watched.fetches)
    while len(watched.fetches) < answered + 3:
        assert not await watched.consumer.getmany(timeout_ms=100)
    watched.consumer.resume(paused)
    assert await watched.values(1) == [b"1"]


async def test_a_new_assignment_is_told_everything(
    watched: Watched, producer: AIOKafkaProducer, topic: str
) -> None:
    """Also where no fetch is on its way, for what came with the last isn't read yet."""
    await producer.send_and_wait(topic, b"0", partition=3)
    assert await watched.values(1) == [b"0"]
    await producer.send_and_wait(topic, b"1", partition=3)
    while not watched.consumer._fetcher._records:
        await asyncio.sleep(0)
    watched.consumer.assign(watched.partitions)
    await watched.consumer.seek_to_end(watched.partitions[3])
    async with asyncio.timeout(10):
        while None in [watched.consumer.highwater(tp) for tp in watched.partitions]:
            await watched.consumer.getmany(timeout_ms=100)


async def test_seeks_pauses_and_assignments_lose_nothing(
    watched: Watched, producer: AIOKafkaProducer, topic: str
) -> None:
    """Against what was sent, with everything that moves a position or a partition in between."""
    draw = random.Random(7)
    consumer = watched.consumer
    sent: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    read: dict[int, dict[int, bytes]] = {number: {} for number in range(PARTITIONS)}
    for step in range(150):
        for _ in range(draw.randrange(4)):
            number = draw.randrange(PARTITIONS)
            sent[number].append(b"%d" % step)
            await producer.send_and_wait(topic, sent[number][-1], partition=number)
        assigned = sorted(consumer.assignment())
        some = draw.sample(assigned, min(len(assigned), draw.randrange(1, 6)))
        match draw.randrange(6):
            case 0:
                consumer.pause(*some)
            case 1:
                consumer.resume(*consumer.paused())
            case 2:
                await consumer.seek_to_beginning(*some)
            case 3 if step % 3 == 0:
                consumer.assign(draw.sample(watched.partitions, draw.randrange(5, PARTITIONS)))
            case 4:  # a session that this broker doesn't know, as after its restart
                watched.sessions._sessions[1] = watched.sessions._sessions.get(1, _Session())._replace(
                    id=4711, epoch=9
                )
        for tp, records in (await consumer.getmany(timeout_ms=20)).items():
            read[tp.partition] |= {record.offset: record.value for record in records}
    consumer.resume(*consumer.paused())
    consumer.assign(watched.partitions)
    await consumer.seek_to_beginning(*watched.partitions)
    for value in await watched.values(sum(map(len, sent.values()))):
        assert value
    for tp in watched.partitions:
        assert await consumer.position(tp) == len(sent[tp.partition]) == consumer.highwater(tp)
        assert all(sent[tp.partition][offset] == value for offset, value in read[tp.partition].items())
    assert {70, 71} & set(watched.errors), "no broker refused a session"
    assert sum(map(len, read.values())) > 100
