"""Tail: orders, their cancels and executions, however the topics' records come in."""

from __future__ import annotations

import msgspec
import pytest
from market_log import execution
from test_market_orders import CAUSE, order

from tradeflow.messages import PositionRecord
from tradeflow.worker import tail as module
from tradeflow.worker.tail import Tail


@pytest.fixture
def tail():
    return Tail({})


def feed(tail, *records):
    for record in records:
        handler = tail._execution if hasattr(record, "execution_id") else tail._order
        handler(0, msgspec.json.encode(record))


def cancel(sent):
    return msgspec.structs.replace(sent, command="CANCEL", cause=CAUSE, event_time=9)


def test_an_order_has_its_cancel_and_its_executions(tail):
    sent = order()
    first, second = execution(sent, "SUBMITTED", -1), execution(sent, "ACCEPTED", 0)
    feed(tail, sent, first, second, second, first)
    known = tail.order(sent.order_id)
    assert (known.order, known.cancel, known.executions) == (sent, None, [first, second])
    assert (known.status, tail.executions(9)) == ("ACCEPTED", [second, first])
    feed(tail, cancel(sent), cancel(sent))
    assert (known.cancel, known.status) == (cancel(sent), "PENDING_CANCEL")
    feed(tail, execution(sent, "CANCELED", 1))
    assert known.status == "CANCELED"
    assert tail.order_counts == {"maker": 1} and tail.conflicting_orders == 0


def test_executions_may_come_before_their_order(tail):
    sent = order()
    feed(tail, execution(sent, "SUBMITTED", -1))
    assert tail.order(sent.order_id) is None and tail.orders(5) == []
    feed(tail, sent)
    assert [known.status for known in tail.orders(5)] == ["SUBMITTED"]


def test_another_content_under_the_same_id_is_counted(tail):
    feed(tail, order(), msgspec.structs.replace(order(), size="9"))
    feed(tail, cancel(order()), msgspec.structs.replace(cancel(order()), event_time=10))
    assert tail.conflicting_orders == 2


def test_the_lists_have_an_end(tail, monkeypatch):
    monkeypatch.setattr(module, "MAX_ORDERS", 3)
    feed(tail, *(order(number) for number in range(9)))
    assert [known.order for known in tail.orders(2)] == [order(8), order(7)]
    assert len(tail._orders) == 3


def test_the_newest_position_of_a_book_counts(tail):
    def position(time, size):
        record = PositionRecord(
            exchange="binance",
            symbol="BTC-USDT",
            size=size,
            average_price=None,
            realized="0",
            unrealized=None,
            currency="USDT",
            balances={},
            fees={},
            event_time=time,
        )
        tail._position(0, msgspec.json.encode(record))

    position(5, "1")
    position(7, "2")
    position(6, "1")  # of a worker that has lost the partition
    assert [one.size for one in tail.positions()] == ["2"]
