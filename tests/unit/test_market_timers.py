"""Market: timers run on event time."""

from __future__ import annotations

from market_log import BOOKS, SECOND, Log, Quoter, T, delta, restarted, snapshot

from tradeflow.market import Market
from tradeflow.messages import Clock
from tradeflow.strategies import Strategy, buy, timer


def timer_times(log, *times):
    return [[o.cause.time - T for o in log(Clock(receipt_time=T + t)).get("orders", [])] for t in times]


def test_timers_fire_at_multiples_of_their_interval():
    log = Log(Market(0, BOOKS, [Quoter()]))
    assert timer_times(log, 0, SECOND - 1, SECOND, SECOND + 5, 2 * SECOND + 1) == [
        [],
        [],
        [SECOND],
        [],
        [2 * SECOND],
    ]
    assert timer_times(log, 9 * SECOND + 3) == [[9 * SECOND]], "once, for the last of those passed"


def test_a_timer_sees_the_market_up_to_the_event_that_moves_time():
    class Watcher(Strategy):
        @timer(seconds=1)
        def look(self, ctx):
            yield buy(ctx.books["binance"], ctx.books["binance"].bid.price, 1, tag=str(ctx.now - T))

    log = Log(Market(0, BOOKS, [Watcher()]))
    log(snapshot())
    (order,) = log(delta(1, time=SECOND + 7, bids=[("100.5", "1")]))["orders"]
    assert (order.price, order.tag, order.event_time) == ("100", str(SECOND), T + SECOND)


def test_timers_fire_in_order_of_time():
    class Several(Strategy):
        @timer(seconds=3)
        def a_slow(self, ctx):
            yield buy(ctx.books["binance"], 1, 1, tag="slow")

        @timer(seconds=2)
        def b_quick(self, ctx):
            yield buy(ctx.books["binance"], 1, 1, tag="quick")

    log = Log(Market(0, BOOKS, [Several()]))
    start = T // (6 * SECOND) * 6 * SECOND + 6 * SECOND
    log(Clock(receipt_time=start + 1))
    orders = log(Clock(receipt_time=start + 5 * SECOND))["orders"]
    assert [(order.tag, order.event_time - start) for order in orders] == [
        ("slow", 3 * SECOND),
        ("quick", 4 * SECOND),
    ]
    orders = log(Clock(receipt_time=start + 9 * SECOND))["orders"]
    assert [order.tag for order in orders] == ["quick", "slow"]


def test_timers_of_a_restart():
    log = Log(Market(0, BOOKS, [Quoter()]))
    timer_times(log, 0, SECOND + 5)
    log = restarted(log, Quoter())
    assert timer_times(log, SECOND + 6, 2 * SECOND) == [[], [2 * SECOND]]
