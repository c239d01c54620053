"""`arbitrage`: both legs, and what becomes of one that is denied or half filled."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradeflow import Trial
from tradeflow.execution.fees import TAKER_FEES
from tradeflow.strategies.arbitrage import Arbitrage


@pytest.fixture
def arbitrage():
    strategy = Arbitrage(
        min_edge="0.001", max_size="2", fees={"binance": "0.001", "kraken": "0.002", "coinbase": "0"}
    )
    return strategy, Trial(strategy)


def test_arbitrage_sends_both_legs_once(arbitrage):
    _, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.7")])
    trial.book("kraken", bid=[("101", "0.4")], ask=[("102", "1")])
    first, second = trial.sent
    assert (first.side, first.exchange, first.price, first.size) == (
        "buy",
        "binance",
        Decimal(100),
        Decimal("0.4"),
    )
    assert (second.side, second.exchange, second.price, second.size) == (
        "sell",
        "kraken",
        Decimal(101),
        Decimal("0.4"),
    )
    assert {order.tif for order in trial.sent} == {"IOC"}
    assert first.cause == second.cause and first.cause.exchange == "kraken"
    trial.delta("binance", ask=[("100", "5")])
    trial.delta("kraken", bid=[("101.5", "5")])
    assert len(trial.sent) == 2, "the same opportunity"


def test_arbitrage_counts_both_fees_and_the_least_edge(arbitrage):
    _, trial = arbitrage
    # 100 × 1.001 × 1.001 = 100.2001 = bid × 0.998 at bid 100.4009018…
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    trial.book("kraken", bid=[("100.400901", "1")], ask=[("102", "1")])
    assert not trial.sent
    trial.delta("kraken", bid=[("100.400902", "1")])
    assert len(trial.sent) == 2


def test_arbitrage_wants_more_than_the_least_edge():
    trial = Trial(Arbitrage(min_edge="0.01", fees={"binance": "0", "kraken": "0"}))
    trial.book("binance", bid="99", ask="100")
    trial.book("kraken", bid="101", ask="102")
    assert not trial.sent
    trial.book("kraken", bid="101.0000000001", ask="102")
    assert len(trial.sent) == 2


def test_arbitrage_is_armed_again_when_the_edge_has_gone(arbitrage):
    strategy, trial = arbitrage
    trial.book("binance", bid=[("99", "9")], ask=[("100", "9")])
    trial.book("kraken", bid=[("101", "9")], ask=[("102", "9")])
    for order in list(trial.sent):
        trial.fill(order)
    assert trial.state(strategy).taken == ["binance>kraken"]
    trial.delta("kraken", bid=[("101", "0"), ("100.1", "9")])
    assert trial.state(strategy).taken == []
    trial.delta("kraken", bid=[("101", "9")])
    assert len(trial.sent) == 4
    assert {order.size for order in trial.sent} == {Decimal(2)}, "at most max_size"
    assert len({order.order_id for order in trial.sent}) == 4


def test_arbitrage_wants_live_books_and_known_fees(arbitrage):
    _, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    trial.down("binance")
    trial.book("kraken", bid=[("105", "1")], ask=[("106", "1")])
    assert not trial.sent
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    assert len(trial.sent) == 2
    nobody = Trial(Arbitrage(fees={"kraken": "0"}))
    nobody.book("binance", bid="99", ask="100")
    nobody.book("kraken", bid="105", ask="106")
    assert not nobody.sent
    assert all(Decimal(0) < fee < Decimal("0.02") for fee in TAKER_FEES.values())


def test_arbitrage_takes_one_pair_at_a_time(arbitrage):
    strategy, trial = arbitrage
    trial.book("binance", bid="99", ask="100")
    trial.book("coinbase", bid="99.5", ask="100.5")
    trial.book("kraken", bid="103", ask="104")
    trial.delta("kraken", bid=[("103", "2")])
    assert trial.state(strategy).taken == ["binance>kraken"]
    for order in list(trial.sent):
        trial.fill(order)
    trial.delta("kraken", bid=[("103", "3")])
    assert [(order.side, order.exchange) for order in trial.sent] == [
        ("buy", "binance"),
        ("sell", "kraken"),
        ("buy", "coinbase"),
        ("sell", "kraken"),
    ]


@pytest.fixture
def legs(arbitrage):
    """Bought 0.4 on binance, sold 0.4 on kraken: both under way."""
    _strategy, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.4")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    return trial, *trial.sent


def unwound(trial):
    return [
        (order.side, order.exchange, order.price, order.size, order.tif)
        for order in trial.sent
        if order.tag == "unwind"
    ]


def test_a_leg_that_is_denied_has_the_other_unwound(legs):
    trial, bought, sold = legs
    trial.deny(sold, "BALANCE")
    assert not unwound(trial), "the other leg is under way"
    trial.fill(bought)
    # 101 × 0.998 on kraken is more than 99 × 0.999 on binance.
    assert unwound(trial) == [("sell", "kraken", Decimal(101), Decimal("0.4"), "IOC")]
    trial.fill(trial.sent[-1])
    trial.advance(seconds=3)
    assert len(unwound(trial)) == 1, "nothing is left"


def test_a_leg_that_is_half_filled_leaves_the_difference(legs):
    trial, bought, sold = legs
    trial.fill(sold)
    trial.fill(bought, "0.1")
    trial.report(bought, "EXPIRED", leaves_size="0")
    assert unwound(trial) == [("buy", "binance", Decimal(100), Decimal("0.3"), "IOC")]
    trial.book("kraken", bid=[("150", "1")], ask=[("151", "1")])
    assert len(trial.sent) == 3, "no new pair until it is done"
    trial.fill(trial.sent[-1], "0.1")
    trial.report(trial.sent[2], "EXPIRED", leaves_size="0")
    assert unwound(trial)[1:] == [("buy", "binance", Decimal(100), Decimal("0.2"), "IOC")], "again, at once"


def test_an_unwinding_order_that_is_denied_waits_a_second(legs):
    trial, bought, sold = legs
    trial.fill(bought)
    trial.deny(sold)
    trial.deny(trial.sent[-1], "STALE_SIGNAL")
    assert len(unwound(trial)) == 1
    trial.advance(seconds=1)
    assert len(unwound(trial)) == 2


def test_what_one_exchange_denies_is_unwound_on_another(legs):
    trial, bought, sold = legs
    trial.fill(bought)
    trial.deny(sold, "BALANCE")
    tried = [unwound(trial)[-1][1]]
    for _ in range(3):
        trial.deny(trial.sent[-1], "BALANCE")
        trial.advance(seconds=1)
        tried.append(unwound(trial)[-1][1])
    assert tried == ["kraken", "binance", "kraken", "binance"], "coinbase has no book"


BALANCES = {
    "nothing to sell on kraken": ("[kraken]\nUSDT = 1000", [("DENIED", "BALANCE")]),
    "nothing to buy with on binance": ("[binance]\nBTC = 1", [("DENIED", "BALANCE")]),
}


@pytest.mark.parametrize("balances", BALANCES)
def test_on_paper_a_denied_leg_leaves_nothing(balances):
    trial = Trial(Arbitrage(), paper=True, balances=BALANCES[balances][0])
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.1")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    bought, sold = trial.sent
    assert (bought.exchange, sold.exchange) == ("binance", "kraken")
    trial.advance(seconds=4)
    denied = [one for one in trial.executions if one.status == "DENIED"]
    assert denied and {one.reason_code for one in denied} == {"BALANCE"}
    left = [position.size for position in trial.positions.values()]
    assert sum(left) == 0 and len(unwound(trial)) >= 1
    assert not trial.market.runs[0].own


def test_on_paper_a_half_filled_leg_leaves_nothing():
    trial = Trial(Arbitrage(), paper=True)
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.1"), ("100.2", "5")])
    trial.book("kraken", bid=[("101.5", "1")], ask=[("102", "1")])
    trial.advance(seconds=0.01)
    trial.delta("binance", ask=[("100", "0.04")])
    trial.advance(seconds=1)
    filled = {one.order_id: one.filled for one in trial.executions if one.size}
    assert [filled[order.order_id] for order in trial.sent[:2]] == [Decimal("0.04"), Decimal("0.1")]
    assert [(side, size) for side, _, _, size, _ in unwound(trial)] == [("buy", Decimal("0.06"))]
    trial.delta("binance", ask=[("100", "0")])
    trial.advance(seconds=3)
    assert sum(position.size for position in trial.positions.values()) == 0


def test_what_no_exchange_takes_is_left_and_holds_nothing_up(legs):
    trial, bought, sold = legs
    trial.fill(sold)
    trial.fill(bought, "0.39")
    for exchange in ("binance", "kraken", "coinbase"):
        trial.instrument(exchange, lot="0.02", min_notional="1.5")
    trial.report(bought, "EXPIRED", leaves_size="0")
    trial.advance(seconds=1)
    assert not unwound(trial), "0.01 is half a lot"
    trial.delta("kraken", bid=[("101", "0")])
    trial.book("kraken", bid=[("99", "1")], ask=[("102", "1")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    assert len(trial.sent) == 4, "a new pair"


def test_legs_are_of_whole_lots_on_both_exchanges(arbitrage):
    _, trial = arbitrage
    trial.instrument("binance", lot="0.1")
    trial.instrument("kraken", lot="0.01", min_notional="60")
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.77")])
    trial.book("kraken", bid=[("101", "0.4")], ask=[("102", "1")])
    assert not trial.sent, "0.4 × 101 is less than kraken takes"
    trial.book("kraken", bid=[("100.1", "2")], ask=[("102", "1")])
    trial.book("kraken", bid=[("101", "2")], ask=[("102", "1")])
    assert {order.size for order in trial.sent} == {Decimal("0.7")}


def test_both_legs_denied_leave_nothing(legs):
    trial, bought, sold = legs
    trial.deny(bought)
    trial.deny(sold)
    trial.advance(seconds=2)
    assert not unwound(trial)
