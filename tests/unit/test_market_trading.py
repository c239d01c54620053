"""Market: orders on their way through the log: commands, verdicts, executions, cancels, operators' words."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from market_log import BOOKS, SECOND, Log, T, command, delta, execution, new_log, place, restarted, snapshot

from tradeflow.execution.venue import NEVER
from tradeflow.market import Market
from tradeflow.messages import Clock, Down, Steer
from tradeflow.strategies import Strategy, buy, cancel, sell, timer


class Maker(Strategy):
    """One order at a time; remembers what it was told."""

    size: Decimal = Decimal(1)
    fail_at: Decimal = Decimal(0)

    class State(msgspec.Struct):
        told: list[str] = msgspec.field(default_factory=list)

    def on_book(self, book, ctx):
        if not ctx.orders:
            yield buy(book, book.bid.price, self.size, post_only=True, tag="quote")
            assert len(ctx.orders) == (not self.shadow), "from the moment that it is yielded"
        if book.bid.price == self.fail_at:
            yield from map(cancel, ctx.orders)
            raise ZeroDivisionError("on purpose")

    def on_execution(self, execution, ctx):
        ctx.state.told.append(f"{execution.status} {execution.size} {execution.order.leaves}")
        if execution.is_fill and execution.side == "buy":
            yield sell(execution, execution.price, execution.size, tag="hedge")

    @timer(seconds=1)
    def requote(self, ctx):
        yield from map(cancel, ctx.orders)


class Bold(Maker):
    cancel_on_loss = False


class Quiet(Maker):
    shadow = True


def told(log):
    return [line for run in log.market.runs for line in run.context.state.told]


def open_orders(log):
    return [(one.order.tag, one.status) for one in log.market.trading.orders]


def test_without_a_gate_every_order_is_submitted():
    log = new_log(Maker())
    (order,) = log(snapshot())["orders"]
    assert open_orders(log) == [("quote", "INITIALIZED")]
    (verdict,) = log(command(order, time=7))["executions"]
    assert (verdict.status, verdict.number, verdict.receipt_time) == ("SUBMITTED", -1, T + 7)
    assert (verdict.order_id, verdict.execution_id) == (order.order_id, f"{order.order_id}-gate")
    assert told(log) == ["SUBMITTED 0 1"]
    assert not log(command(order, offset=1)), "once"


def test_a_strategy_hears_of_its_own_orders_and_acts():
    log = new_log(Maker(), Maker(size="2"))
    first, second = log(snapshot())["orders"]
    log(command(first), command(second))
    log(execution(first, "ACCEPTED"))
    fill = execution(
        first, "PARTIALLY_FILLED", 1, filled="0.4", leaves="0.6", last_price="100", last_size="0.4"
    )
    (hedge,) = log(fill)["orders"]
    assert (hedge.side, hedge.price, hedge.size, hedge.params_hash) == (
        "sell",
        "100",
        "0.4",
        first.params_hash,
    )
    assert (hedge.cause.kind, hedge.cause.execution) == ("execution", f"{first.order_id}-1")
    assert not log(fill), "a repetition"
    mine, other = (run.context for run in log.market.runs)
    assert mine.state.told == ["SUBMITTED 0 1", "ACCEPTED 0 1", "PARTIALLY_FILLED 0.4 0.6"]
    assert other.state.told == ["SUBMITTED 0 2"]
    quote, hedged = mine.orders
    assert (quote.status, quote.filled, quote.leaves) == (
        "PARTIALLY_FILLED",
        Decimal("0.4"),
        Decimal("0.6"),
    )
    assert (hedged.status, hedged.side, hedged.exchange) == ("INITIALIZED", "sell", "binance")
    log(execution(first, "FILLED", 2, filled="1", leaves="0", last_price="100", last_size="0.6"))
    assert [order.tag for order in mine.orders] == ["hedge", "hedge"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "sell"},
        {"exchange": "kraken"},
        {"last_price": "much"},
        {"last_price": None},
        {"last_size": "0"},
        {"leaves_size": "-1"},
        {"fee": "1e3"},
    ],
)
def test_a_report_that_can_not_be_about_its_order_is_refused(wrong):
    log = new_log(Maker())
    (order,) = log(snapshot())["orders"]
    log(command(order))
    fill = execution(
        order, "PARTIALLY_FILLED", 0, filled="0.4", leaves="0.6", last_price="100", last_size="0.4"
    )
    assert not log(msgspec.structs.replace(fill, **wrong))
    assert log.market.counts["executions"]["refused"] == 1
    assert log(fill)["orders"], "the true one counts"


def test_the_gate_sees_what_the_strategy_sent():
    log = new_log(Maker())
    (order,) = log(snapshot())["orders"]
    log(command(msgspec.structs.replace(order, size="1000")))
    (one,) = log.market.trading.orders
    assert (one.status, one.order.size, one.leaves) == ("SUBMITTED", "1", "1")
    log(execution(msgspec.structs.replace(order, symbol="XRP-USDT"), "FILLED"))
    assert log.market.counts["ignored"] == 1


def test_a_cancel_is_asked_for_once():
    log = new_log(Maker())
    (order,) = log(snapshot())["orders"]
    log(command(order))
    (asked,) = log(Clock(receipt_time=T + SECOND))["orders"]
    assert (asked.command, asked.order_id, asked.cause.timer) == ("CANCEL", order.order_id, "requote")
    assert "orders" not in log(Clock(receipt_time=T + 2 * SECOND))
    assert not log(command(asked, time=2 * SECOND)), "no verdict: a cancel is never denied"
    assert open_orders(log) == [("quote", "PENDING_CANCEL")]
    log(execution(order, "CANCELED", time=2 * SECOND))
    assert open_orders(log) == []
    (again,) = log(delta(1, time=2 * SECOND))["orders"]
    assert again.order_id != order.order_id


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (Down(**place(0, 5), reason="lost"), ("book", "binance", 1, 0, None)),
        (delta(3, time=5), ("book", "binance", 1, 3, None)),
        (delta(1, time=5, asks=[("99", "1")]), ("book", "binance", 1, 1, None)),
        (Clock(receipt_time=T + 6 * SECOND), ("timer", None, None, None, "silence")),
    ],
    ids=["down", "gap", "crossed", "silence"],
)
def test_a_book_that_is_lost_has_its_orders_canceled(event, cause):
    for strategy in (Maker(), Bold()):
        log = new_log(strategy)
        (order,) = log(snapshot())["orders"]
        log(command(order))
        for run in log.market.runs:  # no timer asks for it before
            run.strategy = type("Still", (type(strategy),), {"requote": None})()
        log.market._runs._find_handlers()
        orders = log(event).get("orders", [])
        if strategy.cancel_on_loss:
            (asked,) = orders
            found = asked.cause
            assert (asked.command, asked.order_id) == ("CANCEL", order.order_id)
            assert (found.kind, found.exchange, found.epoch, found.sequence, found.timer) == cause
        else:
            assert not orders


def test_one_that_raises_has_its_open_orders_canceled_and_none_of_the_call():
    log = new_log(Maker(fail_at="90"))
    (order,) = log(snapshot())["orders"]
    (asked,) = log(snapshot(1, bids=[("90", "1")]))["orders"]
    assert (asked.command, asked.order_id, asked.cause.sequence) == ("CANCEL", order.order_id, 1)
    (run,) = log.market.runs
    assert run.halted.startswith("on_book raised ZeroDivisionError")
    log = new_log(Maker(fail_at="100"))
    assert "orders" not in log(snapshot()), "what it yielded was never said"
    assert open_orders(log) == []


def test_a_shadows_orders_are_recorded_and_lead_nowhere():
    log = new_log(Quiet())
    (order,) = log(snapshot())["orders"]
    assert order.shadow
    assert not log(command(order))
    assert not told(log) and not open_orders(log)
    assert log(delta(1))["orders"], "it has no orders that it could wait for"


def test_open_orders_outlive_a_restart():
    log = new_log(Maker())
    (order,) = log(snapshot())["orders"]
    log(command(order), execution(order, "ACCEPTED"))
    log = restarted(log, Maker())
    assert "orders" not in log(delta(1))
    (run,) = log.market.runs
    assert [(one.order_id, one.status) for one in run.context.orders] == [(order.order_id, "ACCEPTED")]
    log(execution(order, "FILLED", 1, filled="1", leaves="0", last_price="100", last_size="1"))
    assert run.context.state.told[-1] == "FILLED 1 0"


# --- operators ---


def steer(offset, action, **fields):
    return Steer(offset=offset, action=action, by="op", receipt_time=T, **fields)


def test_a_halt_cancels_what_is_open():
    log = new_log(Maker(), Bold())
    orders = log(snapshot())["orders"]
    assert "orders" not in log(steer(5, "halt", symbol="ETH-USDT"))
    (asked,) = log(steer(6, "halt", strategy="bold"))["orders"]
    assert asked.order_id == orders[1].order_id
    assert (asked.cause.kind, asked.cause.sequence) == ("control", 6)
    assert "orders" not in log(steer(6, "halt")), "a word that was heard"
    (asked,) = log(steer(7, "halt"))["orders"]
    assert asked.order_id == orders[0].order_id
    again = restarted(log, Maker(), Bold())
    assert again.market.trading.steered == 7, "so what is copied again changes nothing"


def test_parameters_change_and_the_state_goes_on(caplog):
    log = new_log(Maker())
    (first,) = log(snapshot())["orders"]
    log(command(first))
    log(steer(1, "parameters", strategy="maker", parameters={"size": "0.5"}))
    log(execution(first, "CANCELED", leaves="0"))
    (second,) = log(delta(1))["orders"]
    assert (second.size, first.size) == ("0.5", "1")
    assert second.params_hash == Maker(size="0.5").params_hash != first.params_hash
    assert told(log) == ["SUBMITTED 0 1", "CANCELED 0 0"]
    log = restarted(log, Maker())
    (run,) = log.market.runs
    assert run.strategy == Maker(size="0.5") and run.context.orders[0].size == Decimal("0.5")
    log(steer(2, "parameters", strategy="maker", parameters={"size": "many"}))
    assert run.strategy == Maker(size="0.5")
    assert "parameters of strategy maker stay as they are" in caplog.text


def test_a_named_strategy_may_try_again():
    log = new_log(Maker(fail_at="90"))
    log(snapshot(bids=[("90", "1")]))
    (run,) = log.market.runs
    log(steer(1, "resume"))
    assert run.halted, "that ends a halt of an operator's alone"
    log(steer(2, "resume", strategy="maker"))
    assert not run.halted and log(snapshot(1))["orders"]


# --- a venue ---


class Venue:
    """Accepts after 10 ns of event time; notes what it sees."""

    def __init__(self, books, instruments):
        self.books, self.seen, self.waiting, self.ready, self.dirty = books, [], [], [], False

    @property
    def due(self):
        return min((time for time, _ in self.waiting), default=NEVER)

    def submit(self, order, now):
        self.waiting.append((now + 10, order))
        self.dirty = True

    def cancel(self, order_id, now):
        self.seen.append(("cancel", order_id))

    def advance(self, now):
        self.seen.append(("advance", self.books["binance", "BTC-USDT"].sequence))
        self.ready = [order for time, order in self.waiting if time <= now]
        self.waiting = [one for one in self.waiting if one[0] > now]

    def book(self, event, book, now):
        self.seen.append(("book", book.sequence))

    def trade(self, event, now):
        self.seen.append(("trade", event.sequence))

    def take(self):
        ready, self.ready = self.ready, []
        return [execution(order, "ACCEPTED") for order in ready]

    def encode(self):
        return msgspec.json.encode(self.waiting)

    def restore(self, value):
        self.waiting = [tuple(one) for one in msgspec.json.decode(value)]


def test_a_venues_reports_count_when_they_come_through_the_log():
    log = Log(Market(0, BOOKS, [Maker()], venue=Venue))
    (order,) = log(snapshot())["orders"]
    log(command(order), delta(1, time=9))
    said = log(delta(2, time=10))
    assert said["executions"] == said["market-events"] == [execution(order, "ACCEPTED")]
    assert open_orders(log) == [("quote", "SUBMITTED")]
    log(*said["market-events"])
    assert open_orders(log) == [("quote", "ACCEPTED")]
    venue = log.market.trading._venue
    assert venue.seen == [("book", 1), ("advance", 1), ("book", 2)]


def test_a_book_without_orders_is_not_shown_to_the_venue():
    log = Log(Market(0, BOOKS, [], venue=Venue))
    log(snapshot(), delta(1, time=9))
    assert log.market.trading._venue.seen == []
