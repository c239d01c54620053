"""A cluster of real processes to break, a load for it, and the reference that tells what must come out."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tradeflow import topics
from tradeflow.demo.child import Child
from tradeflow.demo.stack import get, get_or_none
from tradeflow.kafka import Kafka
from tradeflow.market import Market
from tradeflow.messages import Level, MarketEvent, Order, RawBook, RawTrade
from tradeflow.partitions import PartitionMaps, load_maps
from tradeflow.ports import free_port
from tradeflow.settings import load_settings
from tradeflow.strategies import Strategy, load_strategies

ROOT = Path(__file__).parents[2]
SESSION_TIMEOUT = 6.0
GROUP = "tradeflow-strategies"
STRATEGIES = ["tests.faults.chatty:Chatty", "imbalance", "arbitrage"]


class Cluster:
    """A Kafka of its own and any number of workers without feeds; books never go silent."""

    def __init__(self, directory: Path, **env: str) -> None:
        settings = load_settings()
        self.directory = directory
        self.kafka = Kafka(directory / "kafka", cache_dir=settings.cache_dir, maven_url=settings.maven_url)
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

    @property
    def brokers(self) -> str:
        return self.kafka.bootstrap

    def worker(self, name: str = "w1", **env: str) -> Worker:
        """Start a worker; the same name again continues in the same data directory."""
        worker = Worker(name, self.directory, {**self.env, **env})
        self.workers.append(worker)
        return worker

    def read(self, topic: str) -> dict[int, list[Any]]:
        """Every record of a topic by partition, in order."""
        return asyncio.run(_read(self.brokers, topic))


class Worker:
    """One worker process and its web views."""

    def __init__(self, name: str, directory: Path, env: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {**env, "TRADEFLOW_WEB_PORT": str(self.port), "TRADEFLOW_DATA_DIR": str(directory / name)}
        self.child = Child(name, ["tradeflow.cli", "worker", "-l", "info"], directory / f"{name}.log", env)

    def wait_ready(self, timeout: float = 60.0) -> Self:
        until(
            lambda: (self.child.check(), get_or_none(f"{self.url}/ready"))[1], timeout, "the worker is ready"
        )
        return self

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


class Load:
    """Raw records as feeds write them: one epoch a book, contiguous, with trades between; never crossed."""

    def __init__(self, maps: PartitionMaps, seed: int = 1) -> None:
        self.maps = maps
        self.sent = 0
        self._random = random.Random(seed)
        self._books = maps.books(list(maps.exchanges))
        self._sequences = Counter(dict.fromkeys(self._books, -1))
        self._trades = Counter(dict.fromkeys(self._books, -1))
        self._time = 1_700_000_000_000_000_000
        self._encode = msgspec.json.Encoder().encode

    def records(self, count: int) -> Iterator[tuple[str, int, bytes, bytes]]:
        """(topic, partition, key, value), deterministic by seed."""
        for _ in range(count):
            exchange, symbol = self._random.choice(self._books)
            self._time += self._random.randrange(1, 400_000)
            partition = self.maps.exchanges[exchange][symbol]
            if self._random.random() < 0.02:
                topic, value = topics.trades_topic(exchange), self._trade(exchange, symbol)
            else:
                topic, value = topics.orderbook_topic(exchange), self._book(exchange, symbol)
            yield topic, partition, symbol.encode(), self._encode(value)

    def _book(self, exchange: str, symbol: str) -> RawBook:
        self._sequences[exchange, symbol] += 1
        sequence = self._sequences[exchange, symbol]
        snapshot = sequence == 0
        count = 40 if snapshot else self._random.randrange(1, 4)
        # Best prices always stay, so that no side is ever empty.
        bids = [("1000.5", "1"), *(self._level(900, 1000) for _ in range(count))]
        asks = [("1001", "2.50"), *(self._level(1002, 1100) for _ in range(count))]
        return RawBook(
            exchange=exchange,
            symbol=symbol,
            epoch=0,
            sequence=sequence,
            receipt_time=self._time,
            snapshot=snapshot,
            bids=bids,
            asks=asks,
            exchange_time=self._time / 1e9,
            exchange_sequence=sequence,
        )

    def _level(self, low: int, high: int) -> Level:
        size = self._random.choice(["0", "0.5", "1.25", "7"])
        return f"{self._random.randrange(low * 10, high * 10) / 10}", size

    def _trade(self, exchange: str, symbol: str) -> RawTrade:
        self._trades[exchange, symbol] += 1
        number = self._trades[exchange, symbol]
        return RawTrade(
            exchange=exchange,
            symbol=symbol,
            epoch=0,
            sequence=number,
            receipt_time=self._time,
            side=self._random.choice(["buy", "sell"]),
            price="1000.5",
            size="0.1",
            trade_id=str(number),
            exchange_time=self._time / 1e9,
        )

    def send(self, brokers: str, count: int, rate: float) -> None:
        """Send so many at this rate a second, and wait for all acknowledgements."""
        asyncio.run(self._send(brokers, count, rate))

    async def _send(self, brokers: str, count: int, rate: float) -> None:
        async with AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=2, acks="all") as producer:
            started, pending = time.monotonic(), []
            for number, (topic, partition, key, value) in enumerate(self.records(count)):
                pending.append(await producer.send(topic, value, key, partition))
                ahead = number / rate - (time.monotonic() - started)
                if ahead > 0.01:
                    await asyncio.sleep(ahead)
            await asyncio.gather(*pending)
            self.sent += count


class Reference:
    """What the log of market-events must lead to: the same pure code, run once, in one piece, without faults."""

    def __init__(
        self, maps: PartitionMaps, log: dict[int, list[Any]], strategies: Iterable[Strategy]
    ) -> None:
        decode = msgspec.json.Decoder(MarketEvent).decode
        self.orders: dict[str, Order] = {}
        self.markets: dict[int, Market] = {}
        served = maps.books(list(maps.exchanges))
        for partition, records in log.items():
            books = [place for place in served if maps.symbols[place[1]] == partition]
            market = self.markets[partition] = Market(partition, books, list(strategies), silence_ns=10**18)
            for record in records:
                market.apply(decode(record.value), record.offset)
                for output in market.take_outputs():
                    if output.topic == topics.ORDERS:
                        order = msgspec.json.decode(output.value, type=Order)
                        self.orders[order.order_id] = order

    def book(self, exchange: str, symbol: str) -> Any:
        return next(m.books[exchange, symbol] for m in self.markets.values() if (exchange, symbol) in m.books)


def sent_orders(cluster: Cluster) -> dict[str, set[Order]]:
    """Every content that each order id was ever sent with."""
    found: dict[str, set[Order]] = defaultdict(set)
    for record in itertools.chain(*cluster.read(topics.ORDERS).values()):
        order = msgspec.json.decode(record.value, type=Order)
        found[order.order_id].add(order)
    return found


def check_orders(cluster: Cluster, reference: Reference) -> int:
    """No order is missing, none is too many, each id has one content, the reference's."""
    sent = sent_orders(cluster)
    assert sent, "the strategies sent nothing at all"
    missing = reference.orders.keys() - sent.keys()
    extra = sent.keys() - reference.orders.keys()
    several = [order_id for order_id, contents in sent.items() if len(contents) > 1]
    wrong = [
        order_id for order_id, contents in sent.items() if reference.orders.get(order_id) not in contents
    ]
    summary = (len(missing), len(extra), len(several), len(wrong))
    assert summary == (0, 0, 0, 0), f"(missing, extra, several contents, wrong) = {summary} of {len(sent)}"
    return len(sent)


def check_books(worker: Worker, reference: Reference, books: Iterable[tuple[str, str]]) -> int:
    """Every served book equals the reference, level by level and digit by digit."""
    count = 0
    for exchange, symbol in books:
        served, expected = worker.book(exchange, symbol), reference.book(exchange, symbol)
        bids, asks = expected.book.top(100_000)
        assert (served["epoch"], served["sequence"], served["state"]) == (
            expected.epoch,
            expected.sequence,
            expected.state,
        ), f"{exchange}/{symbol}"
        assert [tuple(level) for level in served["bids"]] == [tuple(level) for level in bids]
        assert [tuple(level) for level in served["asks"]] == [tuple(level) for level in asks]
        count += 1
    return count


def caught_up(cluster: Cluster) -> bool:
    """Everything in the raw topics is normalized, and everything normalized before now is applied and committed."""
    raw = [
        name(exchange)
        for exchange in cluster.maps.exchanges
        for name in (topics.orderbook_topic, topics.trades_topic)
    ]
    if asyncio.run(_lag(cluster.brokers, GROUP, raw)):
        return False
    # Clock records keep coming: the lag of the log itself is small, never 0 for long.
    return asyncio.run(_lag(cluster.brokers, GROUP, [topics.MARKET_EVENTS])) <= 3 * cluster.maps.symbols.count


@contextmanager
def running(function: Any, *args: Any) -> Iterator[Any]:
    """Run a function in a thread; its result, or its exception, at the end."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(function, *args)
        yield future
        future.result()


def strategies(maps: PartitionMaps) -> list[Strategy]:
    return load_strategies(STRATEGIES, maps)
