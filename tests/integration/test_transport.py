"""What the transport promises, on real workers: exact commits, and no commit past a send that failed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.faults.cluster import GROUP, Cluster, until
from tests.faults.load import Load
from tests.faults.reference import Reference, check_books, strategies
from tradeflow import topics
from tradeflow.messages import RawBook
from tradeflow.normalize import normalize

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def send_in_transactions(brokers: str, load: Load, count: int, each: int) -> dict[tuple[str, int], int]:
    """Send; returns the offset of each partition's last record.  Every commit marker is a hole in the offsets."""
    last: dict[tuple[str, int], int] = {}
    async with AIOKafkaProducer(bootstrap_servers=brokers, transactional_id="holes") as producer:
        records = list(load.records(count))
        for start in range(0, count, each):
            async with producer.transaction():
                for topic, partition, key, value in records[start : start + each]:
                    sent = await producer.send_and_wait(topic, value, key=key, partition=partition)
                    last[topic, partition] = sent.offset
    return last


async def committed(brokers: str, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    async with AIOKafkaConsumer(
        bootstrap_servers=brokers, group_id=GROUP, enable_auto_commit=False
    ) as consumer:
        return {tp: await consumer.committed(TopicPartition(*tp)) or 0 for tp in partitions}


async def limit_records(brokers: str, topic: str, size: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        config = {"max.message.bytes": str(size)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    finally:
        await admin.close()


def test_every_offset_is_committed_exactly_where_offsets_jump(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        worker = cluster.worker().wait_ready()
        load = Load(cluster.maps)
        last = asyncio.run(send_in_transactions(cluster.brokers, load, 600, 7))
        expected = {tp: offset + 1 for tp, offset in last.items()}
        until(lambda: asyncio.run(committed(cluster.brokers, list(last))) == expected, 20, "all is committed")
        log = cluster.read(topics.MARKET_EVENTS)
        reference = Reference(cluster.maps, log, strategies(cluster.maps))
        counts = [market.counts for market in reference.markets.values()]
        assert sum(sum(c[k].values()) for c in counts for k in ("snapshots", "deltas", "trades")) == 600
        assert check_books(worker, reference, cluster.maps.books(list(cluster.maps.exchanges))) == 15


def test_a_failed_send_ends_the_worker_before_its_source_is_committed(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        worker = cluster.worker().wait_ready()
        load = Load(cluster.maps)
        load.send(cluster.brokers, 200, 5_000)
        asyncio.run(limit_records(cluster.brokers, topics.MARKET_EVENTS, 2_000))
        big = RawBook(
            exchange="binance",
            symbol="BTC-USDT",
            epoch=1,
            sequence=0,
            receipt_time=time.time_ns(),
            snapshot=True,
            bids=[(f"{price}", "1") for price in range(1, 400)],
            asks=[(f"{price}", "1") for price in range(500, 900)],
        )
        place = (topics.orderbook_topic("binance"), cluster.maps.exchanges["binance"]["BTC-USDT"])
        offset = asyncio.run(send_one(cluster.brokers, place, big))
        assert worker.child.wait() != 0
        log = worker.child.log()
        assert "MessageSizeTooLarge" in log
        assert "read again after a restart" in log
        assert asyncio.run(committed(cluster.brokers, [place]))[place] <= offset

        asyncio.run(limit_records(cluster.brokers, topics.MARKET_EVENTS, topics.MAX_RECORD_BYTES))
        worker = cluster.worker().wait_ready()
        until(
            lambda: asyncio.run(committed(cluster.brokers, [place]))[place] == offset + 1,
            20,
            "it is read again",
        )
        book = worker.book("binance", "BTC-USDT")
        assert (book["epoch"], book["sequence"], book["state"]) == (1, 0, "live")
        assert len(book["bids"]) == len(normalize(big).bids)  # type: ignore[union-attr]


async def send_one(brokers: str, place: tuple[str, int], record: RawBook) -> int:
    async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
        value = msgspec.json.encode(record)
        return int(
            (await producer.send_and_wait(place[0], value, key=b"BTC-USDT", partition=place[1])).offset
        )
