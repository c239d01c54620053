"""A rebalance waits for a last commit, and that for a free hand of the consumer's thread: no fetch may keep them all.

aiokafka's fetch waits for the end of a rebalance that has begun, without a limit, and Faust's thread does two things at
a time: two fetches at once, as after a fetcher was started anew, kept both until the broker threw the worker out."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import MethodQueue

from tradeflow.ports import free_port
from tradeflow.transport import Consumer, ConsumerThread


@pytest.fixture
def make_thread() -> Callable[[type[AIOKafkaConsumerThread]], Any]:
    def make(kind: type[AIOKafkaConsumerThread]) -> Any:
        thread = object.__new__(kind)
        thread.consumer = SimpleNamespace(flow_active=True)  # type: ignore[assignment]
        return thread

    return make


async def commit_during_rebalance(thread: Any) -> float:
    """Seconds until a commit came through that was asked for while two fetches were under way.

    aiokafka's own fetcher and subscription, in the middle of a rebalance; mode's own queue of a thread's calls."""
    loop = asyncio.get_running_loop()
    subscription = SubscriptionState()
    subscription.subscribe({"market-events"})
    subscription.begin_reassignment()
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{free_port()}")
    fetcher = Fetcher(client, subscription)
    consumer = SimpleNamespace(_fetcher=fetcher, _closed=False)

    async def commit() -> bool:
        return True

    queue = MethodQueue()
    await queue.start()
    fetches = [
        await queue.call(loop.create_future(), thread._fetch_records, consumer, None, timeout=0.1)
        for _ in range(2)
    ]
    started = loop.time()
    try:
        async with asyncio.timeout(3):
            assert await (await queue.call(loop.create_future(), commit))
            assert await asyncio.gather(*fetches) == [{}, {}]
        return loop.time() - started
    finally:
        subscription.assign_from_subscribed(set())  # the rebalance is over
        await asyncio.gather(*fetches, return_exceptions=True)
        await queue.stop()
        await fetcher.close()
        await client.close()


async def test_a_commit_is_made_during_a_rebalance_whatever_is_fetched(make_thread: Any) -> None:
    assert await commit_during_rebalance(make_thread(ConsumerThread)) < 2


async def test_without_a_limit_it_never_is(make_thread: Any) -> None:
    """Why there is one: when this fails, Faust or aiokafka has mended it."""
    with pytest.raises(TimeoutError):
        await commit_during_rebalance(make_thread(AIOKafkaConsumerThread))


def test_our_consumer_runs_in_that_thread() -> None:
    assert "ConsumerThread(" in inspect.getsource(Consumer._new_consumer_thread)
