"""Raw records to send through a cluster, deterministic by seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from tradeflow import topics
from tradeflow.messages import Level, RawBook, RawTrade
from tradeflow.partitions import PartitionMaps


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


@contextmanager
def running(function: Any, *args: Any) -> Iterator[Any]:
    """Run a function in a thread; its result, or its exception, at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(function, *args)
        yield future
        future.result()
