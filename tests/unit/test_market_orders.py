"""Orders: which report leads where, repetitions, what is remembered, and the rows of a checkpoint."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_log import command, execution

from tradeflow.market import orders as module
from tradeflow.market.orders import NEXT, Orders, TrackedOrder
from tradeflow.messages import Cause, Order, OrderStatus

CAUSE = Cause(kind="book", exchange="binance", epoch=1, sequence=0)
STATUSES: tuple[OrderStatus, ...] = tuple(NEXT)


def order(number=0, exchange="binance", symbol="BTC-USDT"):
    return Order(
        order_id=f"{number:032}",
        strategy="maker",
        params_hash="h",
        exchange=exchange,
        symbol=symbol,
        side="buy",
        price="100",
        size="2",
        event_time=1,
        cause=CAUSE,
    )


def tracked(sent):
    return TrackedOrder(order=sent, run="strategy/maker", leaves=sent.size)


def with_order(sent, *statuses):
    orders = Orders()
    orders.add(tracked(sent))
    for number, status in enumerate(statuses, -1):
        assert orders.apply(execution(sent, status, number))
    return orders


def state(orders):
    """Everything that a checkpoint must bring back."""
    known = sorted(orders._known.items())
    return (
        known,
        [one.order.order_id for one in orders],
        orders._closed,
        orders._rows,
        orders._places,
    )


def test_an_order_from_its_command_to_its_end():
    sent = order()
    orders = with_order(sent, "SUBMITTED", "ACCEPTED")
    assert [one.status for one in orders.open_on("binance", "BTC-USDT")] == ["ACCEPTED"]
    part = execution(sent, "PARTIALLY_FILLED", 1, filled="0.5", leaves="1.5", average_price="99")
    one = orders.apply(part)
    assert (one.status, one.filled, one.leaves, one.average) == ("PARTIALLY_FILLED", "0.5", "1.5", "99")
    done = orders.apply(execution(sent, "FILLED", 2, filled="2", leaves="0", average_price="99.5"))
    assert done is one and not one.is_open
    assert not list(orders) and not list(orders.open_on("binance", "BTC-USDT"))
    assert orders.get(sent.order_id).average == "99.5"


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_illegal_transitions_are_refused_and_counted(before, after):
    sent = order()
    orders = with_order(sent)
    one = orders.get(sent.order_id)
    one.status, one.number = before, 3
    changed = orders.apply(execution(sent, after, 4, filled="1", leaves="1"))
    legal = {
        ("INITIALIZED", "DENIED"),
        ("INITIALIZED", "SUBMITTED"),
        ("SUBMITTED", "REJECTED"),
        ("SUBMITTED", "ACCEPTED"),
        ("PENDING_CANCEL", "REJECTED"),
        ("PENDING_CANCEL", "ACCEPTED"),
        ("PENDING_CANCEL", "PARTIALLY_FILLED"),
    }
    at_venue = {"SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_CANCEL"}
    ends = {"PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "EXPIRED"}
    may = (before, after) in legal or (
        before in at_venue and after in ends and (before, after) != ("PENDING_CANCEL",) * 2
    )
    assert bool(changed) == may
    assert orders.refused == (not may)
    if not may:
        assert (one.status, one.number, one.filled) == (before, 3, "0")


def test_a_canceled_order_may_fill_until_the_venue_has_heard():
    sent = order()
    orders = with_order(sent, "SUBMITTED")
    one = orders.get(sent.order_id)
    cancel = orders.ask_cancel(one, CAUSE, 5)
    assert (cancel.command, cancel.order_id, cancel.event_time) == ("CANCEL", sent.order_id, 5)
    assert orders.ask_cancel(one, CAUSE, 6) is None, "once an order"
    assert orders.command(command(cancel)) is one and one.status == "PENDING_CANCEL"
    assert orders.command(command(cancel)) is None and orders.repeated == 1
    orders.apply(execution(sent, "ACCEPTED", 0))
    orders.apply(execution(sent, "PARTIALLY_FILLED", 1, filled="1", leaves="1"))
    assert (one.status, one.filled) == ("PENDING_CANCEL", "1")
    assert orders.apply(execution(sent, "FILLED", 2, filled="2", leaves="0"))
    assert orders.apply(execution(sent, "CANCELED", 3)) is None and orders.refused == 1


def test_repetitions_change_nothing():
    sent = order()
    orders = with_order(sent)
    assert not orders.add(tracked(sent))
    assert orders.command(command(sent))
    fill = execution(sent, "PARTIALLY_FILLED", 1, filled="1", leaves="1")
    for report in (execution(sent, "SUBMITTED", -1), execution(sent, "ACCEPTED", 0), fill):
        assert orders.apply(report)
        assert orders.apply(report) is None
    assert orders.apply(execution(sent, "PARTIALLY_FILLED", 0, filled="2", leaves="0")) is None
    assert orders.command(command(sent)) is None, "it has its verdict"
    assert (orders.repeated, orders.refused, orders.unknown) == (6, 0, 0)
    assert orders.command(command(order(1))) is None and orders.apply(execution(order(1), "FILLED")) is None
    assert orders.unknown == 2


def test_open_orders_are_known_always_and_closed_ones_for_a_while(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    orders = Orders()
    for number in range(20):
        orders.add(tracked(order(number)))
        if number % 4:
            orders.apply(execution(order(number), "DENIED", -1))
    assert [int(one.order.order_id) for one in orders] == [0, 4, 8, 12, 16]
    remembered = [n for n in range(20) if orders.get(f"{n:032}")]
    assert remembered == [0, 4, 8, 12, 16, 17, 18, 19]
    assert len(set(orders._rows.values())) == len(remembered), "rows are used again"


def test_only_what_has_changed_is_written():
    orders = Orders()
    for number in range(3):
        orders.add(tracked(order(number)))
    assert orders.take_dirty().keys() == {"orders", "order/0", "order/1", "order/2"}
    assert not orders.take_dirty()
    orders.apply(execution(order(1), "SUBMITTED", -1))
    assert orders.take_dirty().keys() == {"order/1"}


steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.sampled_from(STATUSES)), max_size=80)


@given(steps, st.integers(1, 9), st.data())
def test_a_restored_registry_goes_on_as_if_nothing_had_happened(plan, interval, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REMEMBERED", 2)
        stored: dict[str, bytes] = {}
        one, other, fresh = Orders(), Orders(), itertools.count()
        sent: list[Order] = []
        for place, (what, which, status) in enumerate(plan):
            if what == 0 or not sent:
                sent.append(order(next(fresh), exchange=f"e{which % 2}"))
                one.add(tracked(sent[-1]))
                other.add(tracked(sent[-1]))
            else:
                about = sent[-1 - which % len(sent)]
                report = execution(about, status, place)
                assert (one.apply(report) is None) == (other.apply(report) is None)
            if place % interval == 0:
                stored |= other.take_dirty()
                if data.draw(st.booleans()):
                    other = Orders()
                    other.restore(stored.get)
            assert state(one) == state(other)
