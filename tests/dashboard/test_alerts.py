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
    "WorkerRestarts": {"> 2": "> 0"},
    "FeedSilent": {"> 60": "> 3"},
    "FeedReconnects": {"> 10": "> 3", "[10m]": "[10s]"},
    "CheckpointsSlow": {"> 2": "> 0.0001"},  # no fault makes them that slow for two minutes
    "RedisBehind": {"> 10": "> 2"},
}
"""What of an alert's expression is another one here, so that nobody waits for minutes; and what waits doesn't."""


def quicker(rules: Rules) -> None:
    for rule in rules.values():
        rule.pop("for", None)
    for name, changes in QUICKER.items():
        for was, new in changes.items():
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
            simulator_options=("--rate", "30", "--depth", "20"),
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


def fires(prometheus: Prometheus, began: float, *alerts: str, timeout: float = 40.0) -> None:
    """Each does, at some time after `began`: what asks once a moment may come too late for one that ends again."""

    def fired(alert: str) -> bool:
        seconds = int(time.time() - began)  # never longer ago than that
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        return seconds > 0 and bool(prometheus.ask(f"max_over_time({firing}[{seconds}s])"))

    for alert in alerts:
        until(lambda alert=alert: fired(alert), timeout, f"{alert} fires")


def begin(prometheus: Prometheus, *alerts: str) -> float:
    """Now, when none of them fires."""
    firing = f'ALERTS{{alertname=~"{"|".join(alerts)}",alertstate="firing"}}'
    until(lambda: not prometheus.ask(firing), 60, f"{alerts} are quiet")
    return time.time()


def test_a_worker_is_killed_and_comes_back(system: System, prometheus: Prometheus) -> None:
    second = system.start_second()
    until(lambda: prometheus.numbers("sum(up)") == [2], 30, "both are scraped")
    until(lambda: prometheus.numbers("sum(tradeflow_books)") == [15], 30, "every book has its owner")
    began = begin(prometheus, "BooksWithoutOwner", "WorkerDown", "WorkerRestarts")
    system.kill(second)
    fires(prometheus, began, "BooksWithoutOwner", "WorkerDown")
    system.start_second()
    fires(prometheus, began, "WorkerRestarts")


def test_a_strategy_raises_and_checkpoints_take_longer_than_they_may(prometheus: Prometheus) -> None:
    fires(prometheus, time.time(), "StrategyHalted", "CheckpointsSlow")


def test_records_are_bad_or_conflict(system: System, prometheus: Prometheus) -> None:
    began = begin(prometheus, "DeadLetters", "ConflictingOrders")
    asyncio.run(write_what_is_wrong(system.stack.brokers))
    fires(prometheus, began, "DeadLetters", "ConflictingOrders")


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
    began = begin(prometheus, "ConsumerLag")
    for _ in range(5):
        asyncio.run(write_clocks(system.stack.brokers))
        time.sleep(1)
    fires(prometheus, began, "ConsumerLag")


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
    began = begin(prometheus, "RedisBehind")
    system.redis.kill()
    fires(prometheus, began, "RedisBehind")


def test_the_exchanges_are_gone(system: System, prometheus: Prometheus) -> None:
    began = begin(prometheus, "BookNotLive", "FeedSilent", "FeedReconnects")
    system.kill(next(child for child in system.stack.children if "simulator" in child.name))
    fires(prometheus, began, "BookNotLive", "FeedSilent", "FeedReconnects")


def test_kafka_answers_nobody(system: System, prometheus: Prometheus) -> None:
    began = begin(prometheus, "ListsOld")
    kafka = system.stack._kafka
    assert kafka
    with system.frozen(kafka.pid):
        fires(prometheus, began, "ListsOld")


def test_no_worker_answers(system: System, prometheus: Prometheus) -> None:
    began = begin(prometheus, "NoWorker")
    with system.frozen(*(child.pid for child in system.stack.children)):
        fires(prometheus, began, "NoWorker")
