"""Topics are declared and checked on a real Kafka."""

from __future__ import annotations

import time
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tradeflow.partitions import load_maps
from tradeflow.ports import free_port
from tradeflow.topics import TopicError, TopicSpec, declare_topics, topic_specs

pytestmark = pytest.mark.integration


def spec(partitions: int, name: str, *, keyed: bool = True) -> TopicSpec:
    return TopicSpec(name, partitions, 3_600_000, keyed)


@pytest.fixture
def name() -> str:
    return f"topics-{uuid.uuid4().hex[:8]}"


async def test_declaring_twice_changes_nothing(kafka: str, name: str) -> None:
    cluster = await declare_topics({"bootstrap_servers": kafka}, [spec(3, name)])
    assert cluster == await declare_topics({"bootstrap_servers": kafka}, [spec(3, name)])


async def test_topics_bear_the_brokers_time_and_who_has_others_is_told(
    kafka: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = {"bootstrap_servers": kafka}
    await declare_topics(client, [spec(1, name)])
    assert "bears its writers' times" not in caplog.text
    async with AIOKafkaProducer(**client) as producer:
        sent = await producer.send_and_wait(name, b"{}", timestamp_ms=1)
    assert sent.timestamp_type == 1
    assert abs(sent.timestamp / 1000 - time.time()) < 60

    admin = AIOKafkaAdminClient(**client)
    await admin.start()
    await admin.create_topics([NewTopic(f"{name}-old", 1, 1)])
    await admin.close()
    await declare_topics(client, [spec(1, f"{name}-old")])
    assert f"topic {name}-old bears its writers' times" in caplog.text


async def test_a_wrong_partition_count_is_refused_with_the_fix(kafka: str, name: str) -> None:
    await declare_topics({"bootstrap_servers": kafka}, [spec(4, name)])
    with pytest.raises(
        TopicError, match=f"'{name}' has 4 partitions, the partition maps need 5.*edit the maps"
    ):
        await declare_topics({"bootstrap_servers": kafka}, [spec(5, name)])


async def test_feed_assignments_may_grow(kafka: str, name: str) -> None:
    await declare_topics({"bootstrap_servers": kafka}, [spec(2, name, keyed=False)])
    await declare_topics({"bootstrap_servers": kafka}, [spec(3, name, keyed=False)])
    await declare_topics({"bootstrap_servers": kafka}, [spec(3, name)])


async def test_no_kafka_is_said_with_what_to_do() -> None:
    with pytest.raises(
        TopicError, match=r"no Kafka at 127.0.0.1:\d+ within 1 s.*tradeflow kafka.*KAFKA_BROKERS"
    ):
        await declare_topics({"bootstrap_servers": f"127.0.0.1:{free_port()}"}, [], timeout=1.0)


def test_partition_counts_come_from_the_maps() -> None:
    maps = load_maps()
    counts = {found.name: found.partitions for found in topic_specs(maps)}
    assert counts["market-events"] == counts["orders"] == counts["top-of-book"] == maps.symbols.count
    assert counts["binance-orderbook"] == counts["binance-trades"] == maps.exchanges["binance"].count
    assert counts["feed-claims"] == counts["dead-letters"] == 1
