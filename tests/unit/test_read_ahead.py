"""No more is taken from Kafka than agents come after; but one slow agent stops nobody else."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.futures import notify

from tradeflow.worker.runs import MAX_RUN
from tradeflow.worker.transport import AHEAD, Consumer


@pytest.fixture
async def consumer() -> Any:
    made: Any = object.__new__(Consumer)
    made._loop = asyncio.get_running_loop()
    runs = AHEAD // MAX_RUN + 1
    made._ahead = [SimpleNamespace(acked=False, value=[None] * MAX_RUN) for _ in range(runs)]
    return made


def acknowledge(consumer: Any, number: int) -> None:
    for message in consumer._ahead[:number]:
        message.acked = True
    notify(consumer._waiting_for_ack)


async def test_reading_goes_on_when_enough_is_acknowledged(consumer: Any) -> None:
    room = asyncio.ensure_future(consumer._room())
    await asyncio.sleep(0.05)
    acknowledge(consumer, 1)  # still as many as may be
    await asyncio.sleep(0.05)
    assert not room.done()
    acknowledge(consumer, 1)
    await asyncio.wait_for(room, 0.5)
    assert len(consumer._ahead) == AHEAD // MAX_RUN - 1


async def test_what_was_taken_before_a_seek_is_not_delivered_after_it(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again: delivered twice, its first acknowledgement would count for the second."""
    tp = TP("market-events", 0)

    async def fetched(self: Any, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        for offset in range(3):
            yield tp, SimpleNamespace(acked=False, value=[None], offset=offset)

    monkeypatch.setattr(driver.Consumer, "getmany", fetched)
    monkeypatch.setattr(Consumer, "_is_changelog_tp", lambda self, tp: False)
    consumer.transport = SimpleNamespace(run_topics={"market-events"})
    consumer.app = SimpleNamespace(rebalancing=False)
    consumer._needs_seek, consumer._rewinds, consumer._ahead = False, 0, []
    consumer._reading, consumer._read_offset = defaultdict(deque), defaultdict(lambda: None)
    assert [message.offset async for _, message in consumer.getmany(1.0)] == [0, 1, 2]
    assert len(consumer._ahead) == len(consumer._reading[tp]) == 3

    found = []
    async for _, message in consumer.getmany(1.0):
        found.append(message.offset)
        consumer._rewinds += 1
    assert found == [0]


async def test_what_is_acknowledged_needs_no_waiting(consumer: Any) -> None:
    for message in consumer._ahead:
        message.acked = True
    await asyncio.wait_for(consumer._room(), 0.1)
    assert not consumer._ahead


async def test_a_slow_agent_stops_nobody_for_long(consumer: Any) -> None:
    await asyncio.wait_for(consumer._room(), 1.5)
    assert len(consumer._ahead) == AHEAD // MAX_RUN + 1


def test_nothing_is_remembered_of_what_is_acknowledged() -> None:
    """As Faust's streams note it: a set and a list that grow with every run would fill the memory in days."""
    made: Any = object.__new__(Consumer)
    tp = TP("market-events", 0)
    made._acked, made._acked_index = defaultdict(list), defaultdict(set)
    made._reading = defaultdict(deque)
    for offset in range(3):
        made._reading[tp].append(SimpleNamespace(acked=offset < 2, offset=offset))
        made._acked[tp].append(offset)
        made._acked_index[tp].add(offset)
    assert made._acked_prefix(tp) == 1
    assert not made._acked and not made._acked_index and len(made._reading[tp]) == 1
