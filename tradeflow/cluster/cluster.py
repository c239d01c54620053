"""`KafkaCluster`: what a Kafka has, without changing anything: brokers, topics and their settings, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String


class TopicState(NamedTuple):
    """A topic as it is."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


class KafkaCluster:
    """Reads while the context lasts.  `client` = keyword arguments of any aiokafka client.

    Raises aiokafka's errors where Kafka doesn't answer."""

    def __init__(self, client: Mapping[str, Any], timeout_ms: int = 10_000) -> None:
        self._admin = AIOKafkaAdminClient(**client, request_timeout_ms=timeout_ms)

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._admin.close()

    async def identity(self) -> tuple[str, list[int]]:
        """The cluster's id, and the ids of its brokers."""
        found = await self._admin.describe_cluster()
        return str(found["cluster_id"]), sorted(broker["node_id"] for broker in found["brokers"])

    async def protocol(self) -> dict[int, tuple[int, int]]:
        """Kind of request → oldest and newest version that is understood: Kafka doesn't tell its own."""
        answer = await self._admin._send_request(ApiVersionRequest())
        return {key: (oldest, newest) for key, oldest, newest in answer.api_versions}

    async def topics(self) -> dict[str, TopicState]:
        """All but Kafka's internal ones."""
        found = {
            topic["topic"]: topic["partitions"]
            for topic in await self._admin.describe_topics()
            if not topic["is_internal"]
        }
        config = await self._config(ConfigResourceType.TOPIC, found)
        return {
            name: TopicState(
                len(partitions), min((len(each["replicas"]) for each in partitions), default=0), config[name]
            )
            for name, partitions in sorted(found.items())
        }

    async def broker_config(self, broker: int) -> Mapping[str, str]:
        return (await self._config(ConfigResourceType.BROKER, [str(broker)]))[str(broker)]

    async def members(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each consumer group has now."""
        found = {}
        for response in await self._admin.describe_consumer_groups(list(groups)):
            for _, group, _, _, _, members, *_ in response.groups:
                found[str(group)] = len(members)
        return found

    async def bytes_on_disk(self) -> dict[str, int]:
        """Topic → bytes of all its partitions and copies."""
        sizes: dict[str, int] = {}
        for broker in (await self.identity())[1]:
            answer = await self._admin._send_request_to_node(broker, DescribeLogDirsRequest())
            for code, _, topics in answer.results:
                if code:
                    raise for_code(code)()
                for topic, partitions in topics:
                    sizes[topic] = sizes.get(topic, 0) + sum(size for _, size, *_ in partitions)
        return sizes

    async def _config(self, kind: ConfigResourceType, names: Iterable[str]) -> dict[str, Mapping[str, str]]:
        found: dict[str, Mapping[str, str]] = {}
        resources = [ConfigResource(kind, name) for name in names]
        for response in await self._admin.describe_configs(resources) if resources else ():
            for _, _, _, name, entries in response.resources:
                found[name] = {entry[0]: entry[1] for entry in entries}
        return found


# aiokafka has no request for sizes.


class DescribeLogDirsResponse(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("topic", String("utf-8")),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class DescribeLogDirsRequest_v1(RequestStruct):  # type: ignore[misc] # noqa: N801
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = DescribeLogDirsResponse
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class DescribeLogDirsRequest(Request[DescribeLogDirsRequest_v1]):  # type: ignore[misc]
    """Of all topics."""

    API_KEY = 35

    def build(self, request_struct_class: type[DescribeLogDirsRequest_v1]) -> DescribeLogDirsRequest_v1:
        return request_struct_class(None)
