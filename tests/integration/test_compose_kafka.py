"""The compose file's settings of Kafka, on the same version of Kafka: known to it, and what the topics need."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from scripts.topics import main
from tradeflow.kafka import Kafka
from tradeflow.partitions import load_maps
from tradeflow.settings import load_settings
from tradeflow.topics import topic_specs

pytestmark = pytest.mark.integration

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
PLACES = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs",
          "listener.security.protocol.map", "inter.broker.listener.name")  # fmt: skip
"""Ports and directories of the container."""


def given() -> dict[str, str]:
    environment = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["environment"]
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in environment.items()
    }


async def in_force(kafka: Kafka) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, "1")])
        ((_, _, _, _, entries),) = answer.resources
        return {entry[0]: entry[1] for entry in entries}
    finally:
        await admin.close()


def test_kafka_takes_them_and_the_topics_can_be_declared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And listed: `make kafka-topics`, `make kafka-list-topics`."""
    wanted = given()
    settings = load_settings()
    properties = {name: value for name, value in wanted.items() if name not in PLACES}
    with Kafka(properties=properties, cache_dir=settings.cache_dir, maven_url=settings.maven_url) as kafka:
        found = asyncio.run(in_force(kafka))
        assert wanted.keys() <= found.keys(), "a name that Kafka doesn't know"
        assert {name: found[name] for name in properties} == properties

        monkeypatch.setenv("KAFKA_BROKERS", kafka.bootstrap)
        assert main(["list"]) == 0
        assert listed(capsys)["market-events"].endswith(": make kafka-topics")
        assert main(["declare"]) == 0
        assert f"{len(topic_specs(load_maps()))} topics are as declared" in capsys.readouterr().out
        assert main(["list"]) == 0
        specs = {spec.name: f"{spec.partitions} partitions" for spec in topic_specs(load_maps())}
        assert listed(capsys) == specs
    monkeypatch.setenv("TRADEFLOW_KAFKA_WAIT", "1")
    assert main(["declare"]) == main(["list"]) == 1
    assert kafka.bootstrap in capsys.readouterr().err


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    pairs = [line.split(maxsplit=1) for line in lines]
    return dict(pairs)
