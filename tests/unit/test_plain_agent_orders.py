"""Orders of plain agents: the same gate, the same paper exchange, each decided on once, and replays agree."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_log import BOOKS, SECOND, Log, T, command, delta, execution, new_log, place, snapshot

from tradeflow.market import BookChange, Market
from tradeflow.market import orders as registry
from tradeflow.messages import Clock, Down, Order, Steer
from tradeflow.recording import Header, Record
from tradeflow.replay import Replay
from tradeflow.strategies.actions import ActionError, buy, sell
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.worker.plain_orders import PlainOrders, plain_order
from tradeflow.worker.trading_setup import TradingFiles, TradingSetup

CHANGE = BookChange(
    exchange="binance",
    symbol="BTC-USDT",
    state="live",
    bid=("100", "1"),
    ask=("101", "2"),
    bids=[("100", "1")],
    asks=[("101", "2")],
    epoch=1,
    sequence=0,
    event_time=T,
)


def market(*strategies, venue: bool = True) -> Market:
    setup = TradingSetup(TradingFiles(paper_latency=0.05), {"BTC-USDT": 0}, BOOKS, strategies)
    executing = setup.venue if venue else None
    return Market(0, BOOKS, strategies, gate=setup.gate(), venue=executing, balances=setup.balances)


def agents_order(number: int = 0, **fields) -> Order:
    order = plain_order(buy(CHANGE, "101", "0.5", tag=str(number)), "spread-watcher", CHANGE)
    return msgspec.structs.replace(order, **fields)


def with_venue(log: Log, *events):
    """What was said; what the venue says comes back through the log."""
    said = log(*events)
    for report in said.get("market-events", []):
        for topic, values in log(report).items():
            said.setdefault(topic, []).extend(values)
    return said


def traded() -> Log:
    """A market whose plain agent has bought 0.5 at 101."""
    log, order = Log(market()), agents_order()
    log(snapshot(asks=[("101", "2"), ("102", "9")]), command(order, offset=7))
    with_venue(log, Clock(receipt_time=T + SECOND))
    return log


def test_it_passes_the_gate_and_is_executed_on_paper():
    log, order = Log(market()), agents_order()
    said = log(snapshot(), command(order, offset=7))
    (verdict,) = said["executions"]
    assert (verdict.status, verdict.strategy, verdict.order_id) == (
        "SUBMITTED",
        "spread-watcher",
        order.order_id,
    )
    said = with_venue(log, Clock(receipt_time=T + SECOND))
    assert [one.status for one in said["executions"]] == ["ACCEPTED", "FILLED"]
    (position,) = [one for one in said["positions"] if one.size != "0"]
    assert (position.exchange, position.size, position.average_price) == ("binance", "0.5", "101")
    (run,) = log.market.runs
    assert (run.strategy.name, run.symbols, run.orders, dict(run.own)) == (
        "spread-watcher",
        ("BTC-USDT",),
        1,
        {},
    )
    assert str(run.positions["binance", "BTC-USDT"].size) == "0.5"


def test_the_same_limits_hold_for_it():
    log = Log(market())
    (denied,) = log(snapshot(), command(agents_order(size="200")))["executions"]
    assert (denied.status, denied.reason_code) == ("DENIED", "NOTIONAL")
    log(Steer(offset=1, action="halt", by="op", receipt_time=T))
    (denied,) = log(command(agents_order(1, order_id="other"), offset=1))["executions"]
    assert denied.reason_code == "HALTED"
    log(Steer(offset=2, action="resume", by="op", receipt_time=T))
    log(Steer(offset=3, action="halt", strategy="spread-watcher", by="op", receipt_time=T))
    (denied,) = log(command(agents_order(2, order_id="third"), offset=2))["executions"]
    assert denied.reason_code == "HALTED" and "spread-watcher is halted" in denied.reason


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"size": "1e3"}, "canonical numbers"),
        ({"price": None}, "canonical numbers"),
        ({"post_only": True, "tif": "IOC"}, "post_only LIMIT IOC"),
        ({"strategy": "a/b#c"}, "a plain agent's name"),
        ({"strategy": ""}, "a plain agent's name"),
    ],
)
def test_what_no_strategy_could_send_is_malformed(fields, says):
    log = Log(market())
    (denied,) = log(snapshot(), command(agents_order(**fields)))["executions"]
    assert (denied.status, denied.reason_code) == ("DENIED", "MALFORMED") and says in denied.reason


def test_a_repetition_changes_nothing(monkeypatch):
    monkeypatch.setattr(registry, "REMEMBERED", 2)
    log, order = Log(market()), agents_order(size="200")
    log(snapshot(), command(order, offset=5))
    assert not log(command(order, offset=5)) and not log(command(order, offset=9))
    for number in range(3):
        log(command(agents_order(number, size="200", order_id=f"other-{number}"), offset=10 + number))
    assert log.market.trading.orders.get(order.order_id) is None, "it is forgotten"
    assert not log(command(order, offset=5)), "the door writes it again after a crash"
    assert log.market.counts["executions"]["unknown"] == 1
    again = Log(market())
    again.market.restore(_stored(log).get)
    assert not again(command(order, offset=5)), "neither after a restart"
    assert again(command(agents_order(9, order_id="new"), offset=20))["executions"]


def _stored(log: Log):
    log.checkpoint()
    found = log.stored
    return type("Rows", (), {"get": staticmethod(lambda table, key: found.get((table, key)))})


def test_whose_cause_is_none_of_a_plain_agent_is_a_strategys_and_unknown():
    (order,) = new_log(Imbalance())(snapshot(bids=[("100", "9")]))["orders"]
    log = Log(market())
    assert "executions" not in log(snapshot(), command(order))
    assert log.market.counts["executions"]["unknown"] == 1


def test_its_orders_and_positions_outlive_a_restart():
    log = traded()
    waiting = agents_order(1, price="98", order_id="waiting", tag="w")
    log(delta(1, time=SECOND), command(waiting, time=SECOND, offset=8))
    again = Log(market())
    again.market.restore(_stored(log).get)
    (run,) = again.market.runs
    assert list(run.own) == ["waiting"]
    assert run.positions == log.market.runs[0].positions
    said = again(Down(**place(0, 2 * SECOND, epoch=2), reason="lost"))
    (asked,) = said["orders"]
    assert (asked.command, asked.order_id, asked.cause.kind) == ("CANCEL", "waiting", "book")


def test_it_may_cancel_its_own():
    log, order = Log(market()), agents_order(price="98")
    log(snapshot(), command(order, offset=1))
    cancel = msgspec.structs.replace(order, command="CANCEL", event_time=T + 1)
    log(command(cancel, offset=2))
    (one,) = log.market.trading.orders
    assert one.status == "PENDING_CANCEL"
    assert "orders" not in log(Steer(offset=1, action="halt", by="op", receipt_time=T)), "asked for once"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30), st.integers(1, 9))
def test_a_replay_decides_the_same_and_compares_strategies_orders_alone(plan, interval):
    """Live with a venue and restarts; the replay without either."""
    strategies = [Imbalance(levels=1, enter="0.3")]
    live, stored, records, offset, time, orders = market(*strategies), {}, [], 0, 0, 0
    waiting: list = []

    def put(topic, value):
        records.append(Record(topic, 0, offset, (T + time) // 1_000_000, b"", msgspec.json.encode(value)))

    for step, (kind, again) in enumerate([(0, False), *plan]):
        time += SECOND // 20
        if kind < 3:
            heavy = [("100", str(1 + kind * 5))]
            waiting.append(snapshot(step, time, bids=heavy, asks=[("101", str(1 + step % 7))]))
        else:
            order = agents_order(step, side="buy" if kind == 3 else "sell", price="101", event_time=T + time)
            put("orders", order)
            waiting += [command(order, time, orders)] * (1 + again)
            orders += 1
        while waiting:
            event = waiting.pop(0)
            put("market-events", event)
            live.apply(event, offset)
            offset += 1
            for output in live.take_outputs():
                if output.topic == "orders":
                    order = msgspec.json.decode(output.value, type=Order)
                    put("orders", order)
                    waiting.append(command(order, time, orders))
                    orders += 1
                elif output.topic == "executions":
                    records.append(Record("executions", 0, offset, 0, b"", output.value))
                elif output.topic == "market-events":
                    waiting.append(msgspec.json.decode(output.value, type=type(execution(order, "FILLED"))))
        if step % interval == 0:
            stored.update(live.take_dirty())
            live = market(*strategies)
            live.restore(lambda table, key: stored.get((table, key)))
    header = Header(tradeflow="0", holds="topics", created=0, books=BOOKS, first={"market-events": {0: 0}})
    replay = Replay(header, lambda _: market(*strategies, venue=False))
    replay.apply(records)
    found, verdicts = replay.finish()
    assert found.same and verdicts.same, (found.first, verdicts.first)
    assert verdicts.identical == orders - found.not_compared
    stored.update(live.take_dirty())
    replayed = replay.markets[0].take_dirty()
    for key, value in replayed.items():
        if key[1].startswith(("position/", "strategy/")):
            assert stored[key] == value, key


class Sent:
    def __init__(self):
        self.records = []

    async def room(self):
        pass

    def append(self, *record):
        self.records.append(record)


async def test_a_plain_agent_sends_into_the_symbols_partition():
    outbox = Sent()
    orders = PlainOrders(outbox, {"BTC-USDT": 3}, BOOKS)
    order = await orders.send(sell(CHANGE, "100", "0.10"), strategy="spread-watcher", change=CHANGE)
    await orders.cancel(order, change=msgspec.structs.replace(CHANGE, sequence=9, event_time=T + 5))
    sent = [
        (topic, partition, key, msgspec.json.decode(value, type=Order))
        for topic, partition, key, value in outbox.records
    ]
    assert [one[:3] for one in sent] == [("orders", 3, b"BTC-USDT")] * 2
    new, cancel = sent[0][3], sent[1][3]
    assert new == order and (new.size, new.event_time, new.cause.kind) == ("0.1", T, "agent")
    assert (cancel.order_id, cancel.command, cancel.event_time) == (order.order_id, "CANCEL", T + 5)
    again = plain_order(sell(CHANGE, "100", "0.1"), "spread-watcher", CHANGE)
    assert again == order, "the same because of the same change has the same id"
    assert (
        plain_order(sell(CHANGE, "100", "0.1", tag="2"), "spread-watcher", CHANGE).order_id != order.order_id
    )
    with pytest.raises(ActionError, match="letters, digits"):
        await orders.send(sell(CHANGE, "100", 1), strategy="a b", change=CHANGE)
    elsewhere = msgspec.structs.replace(CHANGE, symbol="XRP-USDT")
    with pytest.raises(ActionError, match="binance XRP-USDT is not served"):
        await orders.send(sell(elsewhere, "100", 1), strategy="x", change=elsewhere)
