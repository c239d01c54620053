"""`imbalance`: when it acts, how much it sends, what it minds."""

from __future__ import annotations

from decimal import Decimal

from tradeflow import Trial
from tradeflow.strategies.imbalance import Imbalance


def heavy(bid: str, ask: str) -> dict:
    return {"bid": [("100", bid), ("99", "1")], "ask": [("101", ask), ("102", "1")]}


def test_imbalance_acts_when_a_region_is_entered_or_left():
    strategy = Imbalance(enter="0.6", leave="0.2", size="0.5", levels=2)
    trial = Trial(strategy)
    trial.book("binance", **heavy("1", "1"))
    trial.delta("binance", bid=[("100", "6")])  # (7 - 2) / 9 = 0.56
    assert not trial.sent
    trial.delta("binance", bid=[("100", "7")])  # (8 - 2) / 10 = 0.6
    (order,) = trial.sent
    assert (order.side, order.price, order.size, order.tif) == ("buy", Decimal(101), Decimal("0.5"), "IOC")
    trial.fill(order)
    trial.delta("binance", bid=[("100", "9")])
    trial.delta("binance", bid=[("100", "2")])  # (3 - 2) / 5 = 0.2
    assert len(trial.sent) == 1, "still in the region, or not yet out of it"
    trial.delta("binance", bid=[("100", "1.9")])
    order = trial.sent[1]
    assert (order.side, order.price, order.size) == ("sell", Decimal(100), Decimal("0.5"))
    assert trial.state(strategy).wanted == 0


def test_imbalance_turns_around_in_one_order():
    strategy = Imbalance(levels=1, size="0.5")
    trial = Trial(strategy)
    for bid, ask in (("9", "1"), ("1", "9"), ("1", "1")):
        trial.book("binance", **heavy(bid, ask))
        trial.fill(trial.sent[-1])
    assert [(order.side, order.size) for order in trial.sent] == [
        ("buy", Decimal("0.5")),
        ("sell", Decimal("1.0")),
        ("buy", Decimal("0.5")),
    ]


def test_imbalance_undoes_what_was_filled_alone():
    trial = Trial(Imbalance(levels=1, size="0.5"))
    trial.book("binance", **heavy("9", "1"))
    trial.fill(trial.sent[0], "0.2")
    trial.book("binance", **heavy("1", "9"))
    assert len(trial.sent) == 1, "not while an order is under way"
    trial.report(trial.sent[0], "EXPIRED", leaves_size="0")
    trial.book("binance", **heavy("1", "1"))
    assert [(order.side, order.size) for order in trial.sent[1:]] == [("sell", Decimal("0.2"))]
    trial = Trial(Imbalance(levels=1))
    trial.book("binance", **heavy("9", "1"))
    trial.deny(trial.sent[0])
    trial.book("binance", **heavy("8", "1"))
    trial.book("binance", **heavy("1", "1"))
    assert len(trial.sent) == 1, "neither tried again nor undone"


def test_imbalance_sends_no_less_than_the_exchange_takes():
    trial = Trial(Imbalance(levels=1))
    trial.instrument("binance", lot="0.001", min_notional="5.05")
    trial.book("binance", **heavy("9", "1"))
    assert trial.sent[0].size == Decimal("0.102"), "5.05 / 100 in whole lots, twice"


def test_imbalance_minds_its_own_exchange_and_levels():
    trial = Trial(Imbalance(levels=1))
    trial.book("kraken", **heavy("9", "1"))
    trial.book("binance", bid=[("100", "1"), ("99", "50")], ask=[("101", "1")])
    assert not trial.sent
