"""A rebalance waits for a last commit, and for the fetcher to stop: no fetch may keep them.

aiokafka's fetch waits for the end of a rebalance that has begun, without a limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from tradeflow.ports import free_port
from tradeflow.worker.transport import RECOVERY_FETCH, Consumer, LoopConsumer

FETCHED = 256 * 1024


def make_consumer(kind: type[AIOKafkaConsumerThread], in_recovery: bool = False) -> Any:
    consumer: Any = object.__new__(kind)
    consumer.consumer = SimpleNamespace(flow_active=True)
    conf = SimpleNamespace(consumer_max_fetch_size=FETCHED)
    consumer.app = SimpleNamespace(in_recovery=in_recovery, conf=conf)
    return consumer


@asynccontextmanager
async def rebalancing() -> AsyncIterator[Any]:
    """aiokafka's own fetcher and subscription, in the middle of a rebalance."""
    subscription = SubscriptionState()
    subscription.subscribe({"market-events"})
    subscription.begin_reassignment()
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{free_port()}")
    fetcher = Fetcher(client, subscription)
    try:
        yield SimpleNamespace(_fetcher=fetcher, _closed=False)
    finally:
        subscription.assign_from_subscribed(set())  # the rebalance is over
        await fetcher.close()
        await client.close()


async def test_a_fetch_ends_during_a_rebalance() -> None:
    async with rebalancing() as kafka, asyncio.timeout(2):
        assert await make_consumer(LoopConsumer)._fetch_records(kafka, None, timeout=0.1) == {}


async def test_without_a_limit_it_never_does() -> None:
    """Why there is one: when this fails, Faust or aiokafka has mended it."""
    async with rebalancing() as kafka:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await make_consumer(AIOKafkaConsumerThread)._fetch_records(kafka, None, timeout=0.1)


async def test_a_recovery_fetches_in_larger_pieces_and_what_is_left_behind_in_small_ones() -> None:
    async with rebalancing() as kafka:
        for in_recovery, size in ((True, RECOVERY_FETCH), (False, FETCHED)):
            await make_consumer(LoopConsumer, in_recovery)._fetch_records(kafka, None, timeout=0.01)
            assert kafka._fetcher._max_partition_fetch_bytes == size


async def test_a_commit_is_made_whatever_is_fetched() -> None:
    consumer = make_consumer(LoopConsumer)

    async def commit() -> bool:
        return True

    async with rebalancing() as kafka:
        fetches = [
            asyncio.ensure_future(consumer.call_thread(consumer._fetch_records, kafka, None, timeout=0.5))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        assert await consumer.call_thread(commit)
        assert not any(fetch.done() for fetch in fetches)
        assert await asyncio.gather(*fetches) == [{}, {}]


def test_our_consumer_runs_in_the_workers_loop() -> None:
    assert "LoopConsumer(" in inspect.getsource(Consumer._new_consumer_thread)
