"""Each alert fires when what it tells of happens: real workers, Kafka, Redis and exchanges, broken in turn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.dashboard.prometheus import Prometheus, Rules
from tests.faults.cluster import ROOT, until
from tests.redis_server import RedisServer
from tradeflow.demo.child import Child
from tradeflow.demo.stack import Stack
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(300)]

QUICKER = {
    "WorkerRestarts": ("> 2", "> 0"),
    "FeedSilent": ("> 60", "> 3"),
    "FeedReconnects": ("> 10", "> 2"),
    "CheckpointsSlow": ("> 2", "> 0.0001"),  # no fault makes them that slow for two minutes
    "RedisBehind": ("> 10", "> 2"),
}
"""What of an alert's expression is another one here, so that nobody waits for minutes; and what waits doesn't."""


def quicker(rules: Rules) -> None:
    for rule in rules.values():
        rule.pop("for", None)
    for name, (was, new) in QUICKER.items():
        assert was in rules[name]["expr"], name
        rules[name]["expr"] = rules[name]["expr"].replace(was, new)


class System:
    """Two workers, the second of which is there to be killed."""

    def __init__(self, directory: Path, redis: RedisServer) -> None:
        self.redis = redis
        self.stack = Stack(
            load_settings(web_port=free_port()),
            simulate=True,
            data_dir=directory,
            simulator_options=("--rate", "50", "--depth", "20"),
        )
        self.stack.env |= {
            "REDIS_URL": redis.url,
            "STRATEGIES": "imbalance,tests.dashboard.moody:Moody",
            "PYTHONPATH": str(ROOT),
            "TRADEFLOW_SESSION_TIMEOUT": "12",
            "TRADEFLOW_COMMIT_INTERVAL": "3",  # so that a scrape sees what has not been committed
        }
        self.second_port = free_port()

    @property
    def targets(self) -> list[str]:
        return [self.stack.web_url, f"http://127.0.0.1:{self.second_port}"]

    def start_second(self) -> Child:
        return self.stack.start_worker(self.second_port)

    def kill(self, child: Child) -> None:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.stack.children.remove(child)

    @contextmanager
    def frozen(self, *pids: int) -> Iterator[None]:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        system = System(tmp_path_factory.mktemp("stack"), redis)
        with system.stack:
            yield system


@pytest.fixture(scope="module")
def prometheus(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), system.targets, quicker) as server:
        yield server


def has_fired(prometheus: Prometheus, alert: str, timeout: float = 40.0, since: str = "5m") -> None:
    """It may have ended since: who asks once a moment may come too late."""
    fired = f'max_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[{since}])'
    until(lambda: prometheus.ask(fired), timeout, f"{alert} fires")


def is_quiet(prometheus: Prometheus, *alerts: str) -> bool:
    return not prometheus.ask(f'ALERTS{{alertname=~"{"|".join(alerts)}",alertstate="firing"}}')


def test_a_worker_is_killed_and_comes_back(system: System, prometheus: Prometheus) -> None:
    second = system.start_second()
    until(lambda: prometheus.numbers("sum(up)") == [2], 30, "both are scraped")
    until(lambda: prometheus.numbers("sum(tradeflow_books)") == [15], 30, "every book has its owner")
    until(lambda: is_quiet(prometheus, "BooksWithoutOwner", "WorkerDown"), 20, "and no alert is left")
    system.kill(second)
    has_fired(prometheus, "BooksWithoutOwner", since="10s")
    has_fired(prometheus, "WorkerDown", since="10s")
    system.start_second()
    has_fired(prometheus, "WorkerRestarts")


def test_a_strategy_raises(prometheus: Prometheus) -> None:
    has_fired(prometheus, "StrategyHalted")


def test_checkpoints_take_longer_than_they_may(prometheus: Prometheus) -> None:
    has_fired(prometheus, "CheckpointsSlow")


def test_records_are_bad_or_conflict(system: System, prometheus: Prometheus) -> None:
    assert is_quiet(prometheus, "DeadLetters", "ConflictingOrders")
    asyncio.run(write_what_is_wrong(system.stack.brokers))
    for alert in ("DeadLetters", "ConflictingOrders"):
        has_fired(prometheus, alert)


async def write_what_is_wrong(brokers: str) -> None:
    """Bytes that are no record, and an order again with another size."""
    async with AIOKafkaConsumer(
        "orders", bootstrap_servers=brokers, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 60)
    order = json.loads(record.value)
    other = json.dumps(order | {"size": order["size"] + "1"}).encode()
    async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
        await producer.send_and_wait("kraken-orderbook", b"no record")
        await producer.send_and_wait("orders", other, key=record.key, partition=record.partition)


def test_more_records_come_than_are_committed(system: System, prometheus: Prometheus) -> None:
    assert is_quiet(prometheus, "ConsumerLag")

    def fired() -> bool:
        asyncio.run(write_clocks(system.stack.brokers))
        return bool(prometheus.ask('max_over_time(ALERTS{alertname="ConsumerLag",alertstate="firing"}[5m])'))

    until(fired, 40, "ConsumerLag fires")


async def write_clocks(brokers: str) -> None:
    """Some 70,000 records at once that change nothing."""
    clock = b'{"type":"clock","v":1,"receipt_time":%d}' % time.time_ns()
    async with AIOKafkaProducer(bootstrap_servers=brokers, max_batch_size=2**20) as producer:
        for _ in range(5):
            batch = producer.create_batch()
            while batch.append(key=None, value=clock, timestamp=None) is not None:
                pass
            await producer.send_batch(batch, "market-events", partition=0)
        await producer.flush()


def test_redis_is_gone(system: System, prometheus: Prometheus) -> None:
    assert is_quiet(prometheus, "RedisBehind")
    system.redis.kill()
    has_fired(prometheus, "RedisBehind")


def test_kafka_answers_nobody(system: System, prometheus: Prometheus) -> None:
    assert is_quiet(prometheus, "ListsOld")
    kafka = system.stack._kafka
    assert kafka
    with system.frozen(kafka.pid):
        has_fired(prometheus, "ListsOld", since="10s")


def test_the_exchanges_are_gone(system: System, prometheus: Prometheus) -> None:
    until(lambda: is_quiet(prometheus, "BookNotLive", "FeedSilent"), 40, "all is well again")
    simulator = next(child for child in system.stack.children if "simulator" in child.name)
    system.kill(simulator)
    for alert in ("BookNotLive", "FeedSilent"):
        has_fired(prometheus, alert, since="10s")
    has_fired(prometheus, "FeedReconnects")


def test_no_worker_answers(system: System, prometheus: Prometheus) -> None:
    workers = [child.pid for child in system.stack.children if child.name.startswith("worker")]
    with system.frozen(*workers):
        has_fired(prometheus, "NoWorker", since="10s")
