"""Orders around the whole loop, in memory: strategies, gate and paper exchange on one log, and its replays."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from market_histories import BOOKS, STRATEGIES, history, market, steps

from tradeflow.execution import Fees, PaperExchange
from tradeflow.messages import Command, Execution, Order, Steer
from tradeflow.risk import Limits, RiskGate
from tradeflow.strategies import Strategy, buy, cancel, sell, timer

HELD = {place: {"USDT": Decimal(100_000), "BTC": Decimal(50), "ETH": Decimal(50)} for place in BOOKS}


class Maker(Strategy):
    """Quotes both sides, cancels now and then, remembers what it was told."""

    class State(msgspec.Struct):
        told: list[str] = msgspec.field(default_factory=list)

    def on_book(self, book, ctx):
        mine = [order for order in ctx.orders if order.exchange == book.exchange]
        if len(mine) < 2:
            yield buy(book, book.bid.price, "0.5", post_only=True, tag=str(len(ctx.state.told)))
            yield sell(book, book.bid.price, "0.25", tag=f"{ctx.position(book.exchange).size}")
        elif book.sequence % 3 == 0:
            yield from map(cancel, mine)

    def on_execution(self, execution, ctx):
        ctx.state.told.append(
            f"{execution.order_id[:8]} {execution.status} {execution.size} {execution.leaves}"
        )
        if execution.is_fill:
            yield buy(execution, None, "0.125", type="MARKET", tag="again")

    @timer(seconds=2)
    def sweep(self, ctx):
        yield from map(cancel, ctx.orders)


def trading(venue=True):
    """A market of all strategies with gate, and with or without a paper exchange."""

    def paper(books, instruments):
        return PaperExchange(books, fees=Fees(), instruments=instruments, latency_ns=20_000_000)

    gate = RiskGate(Limits(), Decimal(1_000_000))
    options = {"gate": gate, "balances": HELD, "venue": paper if venue else None}
    return market(strategies=[*STRATEGIES, Maker()], **options)


def outputs(one, *topics):
    found = [output for output in one.take_outputs() if output.topic in topics]
    one.take_resyncs(), one.take_changes()
    return found


def run_live(plan):
    """The log of a live run: the plan's events, and between them the commands and executions that they lead to."""
    base, _ = history(plan)
    one, log, waiting, said = trading(), [], [], []
    for number, event in enumerate(base):
        due, waiting = waiting, []
        if number % 11 == 7:
            words = ("halt", "resume", "reduce-only", "resume")
            word = words[number // 11 % 4]
            due.append(
                Steer(offset=number, action=word, strategy="maker", by="op", receipt_time=event.receipt_time)
            )
        for place in (*due, event):
            log.append(place)
            one.apply(place, len(log) - 1)
            for output in outputs(one, "orders", "executions", "market-events"):
                if output.topic == "orders":
                    order = msgspec.json.decode(output.value, type=Order)
                    waiting.append(Command(order=order, offset=len(said), receipt_time=one.event_time))
                elif output.topic == "market-events":
                    waiting.append(msgspec.json.decode(output.value, type=Execution))
                said.append(output)
    return one, log, said


def verdict_or_order(output):
    return output.topic == "orders" or (output.topic == "executions" and b'"number":-1,' in output.value)


PLAN = [step for value in range(40) for step in (
    ("delta", value % 4, value * 7 % 60),
    ("trade", value % 4, value % 12),
    ("time", 0, 50_000_000),
    *([("clock", 0, 0), ("time", 0, 400_000_000)] if value % 3 == 0 else []),
    *([("snapshot", value % 4, value % 4)] if value % 5 == 0 else []),
    *([("down", value % 4, 0)] if value % 17 == 16 else []),
)]  # fmt: skip


def test_the_runs_reach_what_they_are_for():
    one, log, said = run_live(PLAN)
    executions = [
        msgspec.json.decode(output.value, type=Execution) for output in said if output.topic == "executions"
    ]
    statuses = Counter(execution.status for execution in executions)
    assert {"SUBMITTED", "DENIED", "ACCEPTED", "FILLED", "EXPIRED", "CANCELED"} <= statuses.keys(), statuses
    assert "HALTED" in {execution.reason_code for execution in executions}
    orders = one.trading.orders
    assert orders.refused == orders.unknown == 0
    assert any(account.position.size for account in one.trading.accounts.by_place.values())
    (state,) = {len(run.context.state.told) > 9 for run in one.runs if run.strategy.name == "maker"}
    assert state and len(log) > 200


@settings(max_examples=25, deadline=None)
@given(steps)
@example(PLAN)
def test_a_replay_without_a_venue_decides_the_same(plan):
    _, log, said = run_live(plan)
    again, found = trading(venue=False), []
    for offset, event in enumerate(log):
        again.apply(event, offset)
        found += outputs(again, "orders", "executions")
    assert found == list(filter(verdict_or_order, said))


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(1, 12), st.sets(st.integers(1, 120), min_size=1, max_size=4))
@example(PLAN, 7, {30, 91, 150})
@example(PLAN, 1, {77})
def test_a_crash_changes_no_order_and_no_execution(plan, interval, crashes):
    _, log, said = run_live(plan)
    unbroken, expected = trading(), []
    for offset, event in enumerate(log):
        unbroken.apply(event, offset)
        expected.append(outputs(unbroken, "orders", "executions", "market-events", "positions"))
    assert [output for answer in expected for output in answer if output.topic != "positions"] == said

    stored: dict[tuple[str, str], bytes] = {}
    one, offset, cut = trading(), 0, 0
    crashes = {crash for crash in crashes if crash <= len(log)}
    while offset < len(log):
        one.apply(log[offset], offset)
        assert outputs(one, "orders", "executions", "market-events", "positions") == expected[offset]
        offset += 1
        if offset % interval == 0:
            stored.update(one.take_dirty())
            cut = offset
        if offset in crashes:
            crashes.remove(offset)
            one, offset = trading(), cut
            one.restore(lambda table, key: stored.get((table, key)))
    stored.update(one.take_dirty())
    assert stored == unbroken.take_dirty()


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(1, 30))
@example(PLAN, 20)
def test_commands_and_executions_written_again_change_nothing(plan, back):
    """By a worker that died, or by one that has lost its partition and doesn't know."""
    _, log, said = run_live(plan)
    one, found, number = trading(), [], 0
    for place, event in enumerate(log):
        repeated = [
            old for old in log[max(0, place - back) : place] if isinstance(old, Command | Execution | Steer)
        ]
        for what, new in ((event, True), *((old, False) for old in repeated)):
            one.apply(what, number)
            number += 1
            answers = outputs(one, "orders", "executions", "market-events")
            assert new or not answers
            found += answers
    assert found == said
