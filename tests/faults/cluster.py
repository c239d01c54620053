"""A cluster of real processes to break: a Kafka, and workers that are killed, frozen and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from tradeflow import topics
from tradeflow.demo.child import Child
from tradeflow.demo.stack import get
from tradeflow.kafka import Kafka
from tradeflow.partitions import load_maps
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

ROOT = Path(__file__).parents[2]
SESSION_TIMEOUT = 6.0
GROUP = "tradeflow-strategies"
STRATEGIES = ["tests.faults.chatty:Chatty", "imbalance", "arbitrage"]


class Cluster:
    """A Kafka of its own and any number of workers without feeds; books never go silent."""

    def __init__(self, directory: Path, **env: str) -> None:
        settings = load_settings()
        self.directory = directory
        self._sources = {"cache_dir": settings.cache_dir, "maven_url": settings.maven_url}
        self.kafka = Kafka(directory / "kafka", **self._sources)
        self.workers: list[Worker] = []
        self.maps = load_maps()
        self.env = {
            "TRADEFLOW_ROLE": "strategies",
            "TRADEFLOW_SESSION_TIMEOUT": str(SESSION_TIMEOUT),
            "TRADEFLOW_SILENCE_TIMEOUT": "1e9",
            "STRATEGIES": ",".join(STRATEGIES),
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1,localhost",
            **env,
        }

    def __enter__(self) -> Self:
        self.kafka.start()
        self.env["KAFKA_BROKERS"] = self.kafka.bootstrap
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.child.stop()
        self.kafka.stop()

    def restart_kafka(self, **properties: str) -> None:
        """In good order, on the same data and port, with other properties (`_` for `.`)."""
        self.kafka.stop()
        named = {name.replace("_", "."): value for name, value in properties.items()}
        self.kafka = Kafka(self.kafka.data_dir, self.kafka.port, properties=named, **self._sources).start()

    @property
    def brokers(self) -> str:
        return self.kafka.bootstrap

    def worker(self, name: str = "w1", *, by: Sequence[str] = ("tradeflow.cli",), **env: str) -> Worker:
        """Start a worker; the same name again continues in the same data directory.  `by`: a module that runs the
        command line, and arguments of its own."""
        worker = Worker(name, self.directory, {**self.env, **env}, by)
        self.workers.append(worker)
        return worker

    def read(self, topic: str) -> dict[int, list[Any]]:
        """Every record of a topic by partition, in order."""
        return asyncio.run(_read(self.brokers, topic))

    def committed(self, topic: str, group: str = "tradeflow") -> dict[int, int]:
        """The offset that a group of workers goes on from, by partition; role all's group is the app id."""
        return asyncio.run(_committed(self.brokers, group, topic))


class Worker:
    """One worker process and its web views."""

    def __init__(self, name: str, directory: Path, env: dict[str, str], by: Sequence[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {**env, "TRADEFLOW_WEB_PORT": str(self.port), "TRADEFLOW_DATA_DIR": str(directory / name)}
        self.child = Child(name, [*by, "worker", "-l", "info"], directory / f"{name}.log", env)

    def wait_ready(self, timeout: float = 60.0) -> Self:
        until(self._is_ready, timeout, "the worker is ready")
        return self

    def _is_ready(self) -> bool:
        self.child.check()
        with contextlib.suppress(OSError):
            get(f"{self.url}/ready")
            return True
        return False

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.child.pid, number)

    def book(self, exchange: str, symbol: str, depth: int = 100_000) -> dict[str, Any]:
        return dict(get(f"{self.url}/books/{exchange}/{symbol}?depth={depth}"))


def until(condition: Any, timeout: float, what: str) -> Any:
    """Wait until the condition is true and return it."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.05)
    return found


def caught_up(cluster: Cluster) -> bool:
    """Everything in the raw topics is normalized, and everything normalized before now is applied and committed."""
    raw = [
        name(exchange)
        for exchange in cluster.maps.exchanges
        for name in (topics.orderbook_topic, topics.trades_topic)
    ]
    if asyncio.run(_lag(cluster.brokers, GROUP, raw)):
        return False
    # Clock records keep coming, so the log's own lag is never 0 for long.
    return asyncio.run(_committed_what_is_there(cluster.brokers, GROUP, topics.MARKET_EVENTS, patience=10))


async def _read(brokers: str, topic: str) -> dict[int, list[Any]]:
    async with AIOKafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False) as consumer:
        partitions = [
            TopicPartition(topic, number) for number in await consumer._client._wait_on_metadata(topic)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[int, list[Any]] = {tp.partition: [] for tp in partitions}
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=10_000)).items():
                found[tp.partition] += records
        return found


async def _committed(brokers: str, group: str, topic: str) -> dict[int, int]:
    async with AIOKafkaConsumer(
        bootstrap_servers=brokers, group_id=group, enable_auto_commit=False
    ) as consumer:
        numbers = await consumer._client._wait_on_metadata(topic)
        return {n: await consumer.committed(TopicPartition(topic, n)) or 0 for n in numbers}


async def _lag(brokers: str, group: str, names: list[str]) -> int:
    """Records of these topics that the group hasn't committed."""
    async with AIOKafkaConsumer(
        bootstrap_servers=brokers, group_id=group, enable_auto_commit=False
    ) as consumer:
        partitions = [
            TopicPartition(name, n) for name in names for n in await consumer._client._wait_on_metadata(name)
        ]
        ends = await consumer.end_offsets(partitions)
        return sum([end - (await consumer.committed(tp) or 0) for tp, end in ends.items()])


async def _committed_what_is_there(brokers: str, group: str, topic: str, patience: float) -> bool:
    """Whether the group gets as far as the topic's end is now."""
    async with AIOKafkaConsumer(
        bootstrap_servers=brokers, group_id=group, enable_auto_commit=False
    ) as consumer:
        partitions = [TopicPartition(topic, n) for n in await consumer._client._wait_on_metadata(topic)]
        ends = await consumer.end_offsets(partitions)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if all([(await consumer.committed(tp) or 0) >= end for tp, end in ends.items()]):
                return True
            await asyncio.sleep(0.05)
        return False
