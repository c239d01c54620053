"""`book_changes`: every change for whoever keeps up; the latest of each book, counted, for whoever doesn't."""

from __future__ import annotations

import faust
import pytest

from tradeflow.market import BookChange
from tradeflow.worker.changes import CAPACITY, BookChanges


def change(sequence, exchange="binance"):
    return BookChange(
        exchange=exchange,
        symbol="BTC-USDT",
        state="live",
        bid=("100", "1"),
        ask=("101", "1"),
        bids=[("100", "1")],
        asks=[("101", "1")],
        epoch=1,
        sequence=sequence,
        event_time=sequence,
    )


@pytest.fixture
def changes():
    return BookChanges(faust.App("changes-test"))


async def read(reader, count):
    return [await anext(reader) for _ in range(count)]


async def test_nobody_listens(changes):
    assert not changes.wanted
    changes.publish([change(1)])
    reader = aiter(changes.channel)
    assert changes.wanted
    changes.publish([change(2)])
    assert await read(reader, 1) == [change(2)]


async def test_every_subscriber_gets_every_change_in_order(changes):
    readers = [aiter(changes.channel), aiter(changes.channel)]
    published = [change(number) for number in range(5)]
    changes.publish(published[:2])
    changes.publish(published[2:])
    for reader in readers:
        assert await read(reader, 5) == published


async def test_a_slow_reader_holds_nobody_back_and_is_told_what_it_missed(changes):
    slow, quick = aiter(changes.channel), aiter(changes.channel)
    for number in range(CAPACITY):
        changes.publish([change(number)])
        await anext(quick)
    # Full: from here on only the latest of each book is kept for it.
    changes.publish([change(CAPACITY + number) for number in range(10)])
    changes.publish([change(0, "kraken")])
    assert len(await read(quick, 11)) == 11

    assert await read(slow, CAPACITY) == [change(number) for number in range(CAPACITY)]
    changes.publish([change(CAPACITY + 10)])
    resumed = await read(slow, 3)
    assert [(one.exchange, one.sequence, one.missed) for one in resumed] == [
        ("binance", CAPACITY + 9, 9),
        ("kraken", 0, 0),
        ("binance", CAPACITY + 10, 0),
    ]


async def test_a_parked_reader_is_served_again_only_when_it_has_room(changes):
    slow = aiter(changes.channel)
    changes.publish([change(number) for number in range(CAPACITY + 1)])
    await read(slow, 10)
    changes.publish([change(CAPACITY + 1)])
    await read(slow, CAPACITY - 10)
    changes.publish([change(CAPACITY + 2)])
    resumed = await read(slow, 2)
    assert [(one.sequence, one.missed) for one in resumed] == [(CAPACITY + 1, 1), (CAPACITY + 2, 0)]
