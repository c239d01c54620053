"""The least that raw → order over three topics can cost in Python: aiokafka alone.

raw → market-events → orders in one process and one event loop: read what a fetch brought, decode and encode
each record, send it as one batch a partition.  No books, no strategy, no state; a commit every second.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BROKER = os.environ["BENCH_BROKER"]


def to_event(raw: dict[str, Any]) -> bytes:
    return orjson.dumps(raw | {"type": "snapshot" if raw["snapshot"] else "delta"})


def to_order(event: dict[str, Any]) -> bytes:
    cause = {
        "kind": "book",
        "exchange": event["exchange"],
        "epoch": event["epoch"],
        "sequence": event["sequence"],
    }
    order = {"order_id": "0" * 32, "symbol": event["symbol"], "side": "buy", "price": "1", "size": "0.01"}
    return orjson.dumps(order | {"cause": cause})


async def relay(producer: AIOKafkaProducer, source: str, target: str, make: Callable[[Any], bytes]) -> None:
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=BROKER,
        group_id=f"relay-{source}",
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
    )
    async with consumer:
        while True:
            for tp, records in (await consumer.getmany(timeout_ms=1000)).items():
                batch = producer.create_batch()
                for record in records:
                    value = make(orjson.loads(record.value))
                    if batch.append(key=record.key, value=value, timestamp=None) is None:
                        batch.close()
                        await producer.send_batch(batch, target, partition=tp.partition)
                        batch = producer.create_batch()
                        batch.append(key=record.key, value=value, timestamp=None)
                batch.close()
                await producer.send_batch(batch, target, partition=tp.partition)


async def main() -> None:
    async with AIOKafkaProducer(bootstrap_servers=BROKER, acks="all", max_batch_size=1 << 20) as producer:
        hops = asyncio.gather(
            relay(producer, "binance-orderbook", "market-events", to_event),
            relay(producer, "market-events", "orders", to_order),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, hops.cancel)
        try:
            await hops
        except asyncio.CancelledError:
            return


asyncio.run(main())
