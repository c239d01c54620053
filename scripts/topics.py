"""Kafka's topics from the command line: `python -m scripts.topics declare` and `list`, at KAFKA_BROKERS."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tradeflow.cluster.security import client_options
from tradeflow.partitions import load_maps
from tradeflow.settings import SettingsError, load_settings
from tradeflow.topics import TopicError, declare_topics, topic_specs


async def counts(client: Mapping[str, Any]) -> dict[str, int]:
    """Partitions of every topic that is not one of Kafka's own."""
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        described = await admin.describe_topics()
        return {
            topic["topic"]: len(topic["partitions"]) for topic in described if not topic.get("is_internal")
        }
    finally:
        await admin.close()


def main(arguments: list[str]) -> int:
    if arguments not in (["declare"], ["list"]):
        print(__doc__)
        return 2
    try:
        config = load_settings()
        specs, client = topic_specs(load_maps(config.partition_maps)), client_options(config)
        if arguments == ["declare"]:
            declaring = declare_topics(
                client, specs, replication=config.replication_factor, timeout=config.kafka_wait
            )
            print(f"{len(specs)} topics are as declared, on cluster {asyncio.run(declaring)}")
            return 0
        there = asyncio.run(counts(client))
    except (SettingsError, TopicError) as error:
        print(error, file=sys.stderr)
        return 1
    except KafkaError as error:
        print(f"{error}. Is there a Kafka at KAFKA_BROKERS={config.kafka_brokers}?", file=sys.stderr)
        return 1
    wanted = {spec.name: spec.partitions for spec in specs}
    for name in sorted(wanted.keys() | there.keys()):
        print(f"{name:<40} {there.get(name, 0):>4} partitions{_remark(wanted.get(name), there.get(name, 0))}")
    return 0


def _remark(wanted: int | None, there: int) -> str:
    if wanted is None:
        return ", not one that is declared"
    return "" if wanted == there else f", should have {wanted}: make kafka-topics"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
