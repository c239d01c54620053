"""Every topic: name, partitions, retention; declared and checked at start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from tradeflow.cluster.security import NotLetIn, why_not
from tradeflow.partitions import PartitionMaps, feeds

log = logging.getLogger(__name__)

MARKET_EVENTS = "market-events"
TOP_OF_BOOK = "top-of-book"
NORMALIZED_BOOKS = "normalized-books"
TRADES = "trades"
ORDERS = "orders"
EXECUTIONS = "executions"
POSITIONS = "positions"
KEYFRAMES = "keyframes"
FEED_ASSIGNMENTS = "feed-assignments"
FEED_CLAIMS = "feed-claims"
CONTROL = "control"
DEAD_LETTERS = "dead-letters"

DAY = 86_400_000  # milliseconds
MAX_RECORD_BYTES = 16 * 1024 * 1024
"""A whole book of a deep exchange is one record."""
BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}
"""Records bear the broker's time, not that of the worker that wrote them: what a market holds receipt times to."""


class TopicError(RuntimeError):
    """Kafka's topics are not what the partition maps need, or Kafka cannot be reached."""


def orderbook_topic(exchange: str) -> str:
    return f"{exchange}-orderbook"


def trades_topic(exchange: str) -> str:
    return f"{exchange}-trades"


class TopicSpec(NamedTuple):
    name: str
    partitions: int
    retention_ms: int
    keyed: bool = True
    """Partitions carry meaning (a map's numbers): their count must be exactly this."""

    def config(self) -> dict[str, str]:
        return {
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(MAX_RECORD_BYTES),
            **BROKERS_TIME,
        }


def topic_specs(maps: PartitionMaps) -> list[TopicSpec]:
    """All topics of tradeflow, with the partition counts that the maps need."""
    specs = []
    for exchange, partition_map in sorted(maps.exchanges.items()):
        specs.append(TopicSpec(orderbook_topic(exchange), partition_map.count, DAY))
        specs.append(TopicSpec(trades_topic(exchange), partition_map.count, DAY))
    count = maps.symbols.count
    kept = (MARKET_EVENTS, KEYFRAMES, TRADES, ORDERS, EXECUTIONS)
    specs.extend(TopicSpec(name, count, 7 * DAY) for name in kept)
    specs.extend(TopicSpec(name, count, DAY) for name in (TOP_OF_BOOK, NORMALIZED_BOOKS, POSITIONS))
    specs.append(TopicSpec(FEED_ASSIGNMENTS, max(1, len(feeds(maps))), DAY, keyed=False))
    specs.append(TopicSpec(FEED_CLAIMS, 1, 365 * DAY))
    specs.append(TopicSpec(CONTROL, 1, 365 * DAY))
    specs.append(TopicSpec(DEAD_LETTERS, 1, 30 * DAY))
    return specs


async def declare_topics(
    client: Mapping[str, Any], specs: list[TopicSpec], *, replication: int = 1, timeout: float = 30.0
) -> str:
    """Make the topics that are missing and check those that are there.  Returns the cluster's id.

    `client` = keyword arguments of any aiokafka client.  Raises TopicError when Kafka does not answer within
    `timeout` seconds, doesn't let us in, or a count is wrong."""
    admin = await _connect(client, timeout)
    try:
        wanted = [
            NewTopic(
                name=s.name,
                num_partitions=s.partitions,
                replication_factor=replication,
                topic_configs=s.config(),
            )
            for s in specs
        ]
        response = await admin.create_topics(wanted)
        for name, code, *_rest in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise TopicError(
                    f"topic {name!r} could not be made: {error.__name__} {_rest}. Check the broker's log."
                )
        counts = await _partition_counts(admin, specs)
        for spec in specs:
            await _check(admin, spec, counts[spec.name])
        await _check_times(admin, specs)
        return str((await admin.describe_cluster())["cluster_id"])
    except KafkaError as error:
        raise TopicError(
            f"declaring the topics at {client['bootstrap_servers']} failed: {error!r}. Check the broker's log."
        ) from error
    finally:
        await admin.close()


async def _partition_counts(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> dict[str, int]:
    for _ in range(50):  # metadata of a topic just made may take a moment
        described = await admin.describe_topics([spec.name for spec in specs])
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
        if all(counts.get(spec.name) for spec in specs):
            return counts
        await asyncio.sleep(0.1)
    missing = [spec.name for spec in specs if not counts.get(spec.name)]
    raise TopicError(f"topics {missing} were declared but Kafka does not show them. Check the broker's log.")


async def _check(admin: AIOKafkaAdminClient, spec: TopicSpec, count: int) -> None:
    if count == spec.partitions:
        return
    if not spec.keyed and count < spec.partitions:
        await admin.create_partitions({spec.name: NewPartitions(total_count=spec.partitions)})
        return
    if not spec.keyed:
        return
    raise TopicError(
        f"topic {spec.name!r} has {count} partitions, the partition maps need {spec.partitions}. "
        "Stop all workers; then either edit the maps so that their largest number fits the topic, "
        "or move the data away, delete the topic and start again."
    )


async def _check_times(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    """Topics that were made before may bear their writers' times; altering them could undo what else is set there."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    for response in await admin.describe_configs(resources) if resources else ():
        for _, _, _, name, entries in response.resources:
            if BROKERS_TIME.items().isdisjoint((entry[0], entry[1]) for entry in entries):
                log.warning(
                    "topic %s bears its writers' times: a clock that jumps ahead could silence books until the others"
                    " have caught up. Set message.timestamp.type=LogAppendTime on it (kafka-configs --alter)",
                    name,
                )


async def _connect(client: Mapping[str, Any], timeout: float) -> AIOKafkaAdminClient:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    brokers, said = client["bootstrap_servers"], False
    while True:
        admin = AIOKafkaAdminClient(**client, request_timeout_ms=max(10_000, round(timeout * 1000)))
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            reason = await why_not(client) or error  # the client has only logged what it was
            if isinstance(reason, NotLetIn):
                raise TopicError(str(reason)) from None
            if loop.time() > deadline:
                raise TopicError(
                    f"no Kafka at {brokers} within {timeout:.0f} s ({reason!r}). Start it (`tradeflow kafka` runs"
                    " one on this machine), or correct KAFKA_BROKERS. If it is there and hangs up:"
                    " TRADEFLOW_KAFKA_SECURITY_PROTOCOL, or TRADEFLOW_KAFKA_TLS_CERT_FILE if it asks for one."
                ) from None
            if not said:
                log.warning("no Kafka at %s yet (%r); trying for %.0f s", brokers, reason, timeout)
                said = True
            await asyncio.sleep(0.5)
        else:
            return admin
