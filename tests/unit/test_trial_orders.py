"""Trial: what becomes of orders, as a strategy's author writes it in a test."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradeflow.strategies import Strategy, Trial, buy, cancel, timer


class Quoter(Strategy):
    size: Decimal = Decimal(2)

    class State(Strategy.State):
        told: list[str] = []  # noqa: RUF012

    def on_book(self, book, ctx):
        if not ctx.orders:
            yield buy(book, book.bid.price, self.size)

    def on_execution(self, execution, ctx):
        ctx.state.told.append(execution.status)

    @timer(seconds=1)
    def requote(self, ctx):
        yield from map(cancel, ctx.orders)


class Shadow(Quoter):
    shadow = True


@pytest.fixture
def trial():
    trial = Trial(Quoter(), exchanges=["binance"])
    trial.book("binance", bid="100", ask="101")
    return trial


def orders(trial):
    return trial.market.runs[0].context.orders


def told(trial):
    return trial.market.runs[0].context.state.told


def test_an_order_is_in_flight_until_the_test_says_more(trial):
    (order,) = trial.sent
    trial.book("binance", bid="99", ask="101")
    assert trial.sent == [order]
    assert [(one.status, one.leaves) for one in orders(trial)] == [("INITIALIZED", Decimal(2))]
    trial.submit(order)
    trial.accept(order)
    assert [one.status for one in orders(trial)] == ["ACCEPTED"]
    assert told(trial) == ["SUBMITTED", "ACCEPTED"]


def test_fills(trial):
    (order,) = trial.sent
    trial.fill(order, "0.5", price="98", fee="0.01", fee_currency="USDT", liquidity="maker")
    (one,) = orders(trial)
    assert (one.status, one.filled, one.leaves, one.average_price) == (
        "PARTIALLY_FILLED",
        Decimal("0.5"),
        Decimal("1.5"),
        Decimal(98),
    )
    trial.fill(order)
    assert not orders(trial)
    assert told(trial) == ["SUBMITTED", "PARTIALLY_FILLED", "FILLED"]
    assert trial.market.trading.orders.get(order.order_id).average == "99.5"
    with pytest.raises(ValueError, match=r"1 of order .* can't be filled: 0 are left"):
        trial.fill(order, 1)


def test_a_denied_order_is_no_longer_open(trial):
    trial.deny(trial.sent[0], "NOTIONAL", "notional 200 is above max_order_notional 100")
    assert told(trial) == ["DENIED"] and not orders(trial)
    with pytest.raises(ValueError, match="an order that is DENIED can't become ACCEPTED"):
        trial.accept(trial.sent[0])


def test_a_cancel_is_a_command_of_its_own(trial):
    trial.accept(trial.sent[0])
    trial.advance(seconds=1)
    order, asked = trial.sent
    assert (asked.command, asked.order_id, asked.cause.timer) == ("CANCEL", order.order_id, "requote")
    assert orders(trial)[0].canceling
    trial.submit(asked)
    assert orders(trial)[0].status == "PENDING_CANCEL"
    trial.report(order, "CANCELED", leaves_size="0")
    assert not orders(trial)


def test_parameters_change_while_it_runs(trial):
    trial.fill(trial.sent[0])
    trial.set_parameters("quoter", size="3")
    trial.book("binance", bid="99", ask="101")
    assert trial.sent[-1].size == 3
    assert told(trial) == ["SUBMITTED", "FILLED"]


def test_nothing_becomes_of_a_shadows_order():
    trial = Trial(Shadow(), exchanges=["binance"])
    trial.book("binance", bid="100", ask="101")
    assert trial.sent[0].shadow
    with pytest.raises(ValueError, match="or by a shadow: nothing becomes of it"):
        trial.fill(trial.sent[0])


# --- paper=True ---


class Dipper(Strategy):
    """Buys 1 at the touch, once; then waits with a bid."""

    size: Decimal = Decimal(1)

    class State(Strategy.State):
        told: list[str] = []  # noqa: RUF012

    def on_book(self, book, ctx):
        if not ctx.orders and not ctx.position("binance").size:
            yield buy(book, book.ask.price, self.size, tif="IOC")

    def on_execution(self, execution, ctx):
        ctx.state.told.append(execution.status)


def test_on_paper_orders_pass_the_gate_and_are_executed():
    trial = Trial(Dipper(), exchanges=["binance"], paper=True)
    trial.book("binance", bid="100", ask=[("101", "0.4"), ("102", "5")])
    assert [one.status for one in trial.executions] == ["SUBMITTED"], "it is on its way"
    trial.advance(seconds=1)
    assert [(one.status, one.price, one.size, one.leaves) for one in trial.executions[1:]] == [
        ("ACCEPTED", None, None, Decimal(1)),
        ("PARTIALLY_FILLED", Decimal(101), Decimal("0.4"), Decimal("0.6")),
        ("EXPIRED", None, None, Decimal("0.6")),
    ]
    assert told(trial) == [one.status for one in trial.executions]
    position = trial.positions["binance", "BTC-USDT"]
    assert (position.size, position.average_price) == (Decimal("0.4"), Decimal(101))
    assert position.fees == {"BTC": trial.executions[2].fee} and trial.executions[2].fee > 0
    with pytest.raises(ValueError, match="the gate and the paper exchange say"):
        trial.fill(trial.sent[0])


def test_on_paper_limits_fees_balances_and_latency_are_what_the_test_says():
    free = '[[fee]]\nexchange = "binance"\nsince = 2020-01-01\nmaker = 0\ntaker = 0\n'
    trial = Trial(
        Dipper(),
        exchanges=["binance"],
        paper=True,
        risk="[default]\nmax_order_size = 1",
        fees=free,
        balances="[binance]\nUSDT = 150",
        latency_seconds=2,
    )
    trial.book("binance", bid="100", ask=[("101", "5")])
    trial.advance(seconds=3)
    assert [one.status for one in trial.executions] == ["SUBMITTED"], "two seconds there, two back"
    trial.advance(seconds=1)
    assert trial.executions[-1].status == "FILLED" and not trial.positions["binance", "BTC-USDT"].fees
    for size, code in (("2", "ORDER_SIZE"), ("1", "BALANCE")):
        poor = Trial(
            Dipper(size=size),
            exchanges=["binance"],
            paper=True,
            risk="[default]\nmax_order_size = 1",
            balances="[binance]\nUSDT = 100",
        )
        poor.book("binance", bid="100", ask=[("101", "5")])
        assert [(one.status, one.reason_code) for one in poor.executions] == [("DENIED", code)]


def test_executions_and_positions_can_be_read_without_paper_as_well(trial):
    trial.fill(trial.sent[0], "0.5", price="98")
    said = [(one.status, one.price, one.leaves) for one in trial.executions]
    assert said == [("SUBMITTED", None, Decimal(2)), ("PARTIALLY_FILLED", Decimal(98), Decimal("1.5"))]
    assert trial.positions["binance", "BTC-USDT"].size == Decimal("0.5")


def test_no_order_for_a_quanto_contract_passes():
    trial = Trial(Quoter(size="100"), books=[("bitmex", "ETH-USD-PERP")], paper=True)
    trial.symbol = "ETH-USD-PERP"
    trial.instrument("bitmex", kind="quanto", tick="0.05", lot="1", multiplier="0.000001", settle="BTC")
    trial.book("bitmex", bid="3000", ask="3001")
    (denied,) = trial.executions
    assert (denied.status, denied.reason_code) == ("DENIED", "UNKNOWN_INSTRUMENT")
