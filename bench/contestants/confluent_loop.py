"""A hand-written loop on librdkafka: no framework, no durable state: a restart begins with empty books."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer

from tables.book import Book

broker = {"bootstrap.servers": os.environ["BENCH_BROKER"]}
consumer = Consumer(
    broker | {"group.id": "confluent", "auto.offset.reset": "earliest", "enable.auto.commit": False}
)
producer = Producer(broker | {"acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
books: dict[str, Book] = {}
published: dict[str, Any] = {}
running = True


def stop(*_: object) -> None:
    global running
    running = False


def apply(event: dict[str, Any], partition: int) -> None:
    symbol = event["symbol"]
    book = books.get(symbol)
    if book is None:
        book = books[symbol] = Book()
    if event["type"] == "snapshot":
        book.replace(event["bids"], event["asks"])
    else:
        book.update(event["bids"], event["asks"])
    best = (book.best_bid, book.best_ask)
    if best == published.get(symbol):
        return
    published[symbol] = best
    top = {"symbol": symbol, "sequence": event["sequence"], "bid": best[0], "ask": best[1]}
    producer.produce("top-of-book", orjson.dumps(top), symbol, partition)


signal.signal(signal.SIGTERM, stop)
consumer.subscribe(["market-events"])
committed = time.monotonic()
uncommitted = False
while running:
    for message in consumer.consume(500, 0.05):
        if message.error():
            raise RuntimeError(message.error())
        apply(orjson.loads(message.value()), message.partition())
        uncommitted = True
    producer.poll(0)
    if uncommitted and time.monotonic() - committed >= 1.0:
        if producer.flush(30):
            raise RuntimeError("the broker did not acknowledge within 30 s")
        consumer.commit(asynchronous=False)
        committed, uncommitted = time.monotonic(), False
Path("books.json").write_bytes(
    orjson.dumps({symbol: [book.bids.sizes, book.asks.sizes] for symbol, book in books.items()})
)
consumer.close()
