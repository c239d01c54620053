"""Indicators, next to the definition of each in exact fractions."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow.strategies import Quote, Strategy, Trial
from tradeflow.strategies.indicators import (
    Candle,
    Candles,
    Ema,
    TradeFlow,
    Volatility,
    Vwap,
    imbalance,
    microprice,
    price_for,
    round_to,
    vwap_of,
)

SECOND = 1_000_000_000
NEAR = Fraction(1, 10**24)
"""Of results of 28 digits, relative."""

numbers = st.decimals("0.00000001", "99999999", places=8)
quotes = st.lists(st.builds(Quote, numbers, numbers), min_size=1, max_size=8)


def book(bids, asks):
    return SimpleNamespace(bid=bids[0], ask=asks[0], top=lambda n: (bids[:n], asks[:n]))


def trade(price, size, side="buy", time=0):
    return SimpleNamespace(price=Decimal(price), size=Decimal(size), side=side, receipt_time=time)


def is_near(found, exact):
    return abs(Fraction(found) - exact) <= abs(exact) * NEAR


def kept(indicator):
    """As a State is: written and read again."""
    return msgspec.json.decode(msgspec.json.encode(indicator), type=type(indicator))


@given(quotes, quotes)
def test_microprice_lies_between_the_touch_by_the_other_sides_size(bids, asks):
    bid, ask = bids[0], asks[0]
    weighted = Fraction(bid.price) * Fraction(ask.size) + Fraction(ask.price) * Fraction(bid.size)
    found = microprice(book(bids, asks))
    assert is_near(found, weighted / (Fraction(bid.size) + Fraction(ask.size)))
    low, high = sorted((bid.price, ask.price))
    assert low <= found <= high


@given(quotes, quotes, st.integers(1, 9))
def test_imbalance(bids, asks, levels):
    bid = sum(Fraction(quote.size) for quote in bids[:levels])
    ask = sum(Fraction(quote.size) for quote in asks[:levels])
    found = imbalance(book(bids, asks), levels)
    assert abs(Fraction(found) - (bid - ask) / (bid + ask)) <= NEAR
    assert -1 <= found <= 1


@given(quotes, numbers)
def test_vwap_of_levels(levels, size):
    left, paid = Fraction(size), Fraction(0)
    for price, available in levels:
        taken = min(left, Fraction(available))
        paid, left = paid + taken * Fraction(price), left - taken
    found = vwap_of(levels, size)
    if left:
        assert found is None
    else:
        assert is_near(found, paid / Fraction(size))
        assert min(level.price for level in levels) <= found <= max(level.price for level in levels)


def test_price_for_walks_the_side_that_a_taker_meets():
    two = book(
        [Quote(Decimal(99), Decimal(1)), Quote(Decimal(98), Decimal(1))],
        [Quote(Decimal(101), Decimal(1)), Quote(Decimal(103), Decimal(3))],
    )
    assert price_for(two, "buy", Decimal(2)) == 102
    assert price_for(two, "sell", Decimal(2)) == Decimal("98.5")
    assert price_for(two, "sell", Decimal(3)) is None


@given(numbers, numbers)
def test_rounded_to_the_tick(price, tick):
    down, up = round_to(price, tick, "down"), round_to(price, tick, "up")
    assert down <= price <= up
    assert (Fraction(down) / Fraction(tick)).denominator == (Fraction(up) / Fraction(tick)).denominator == 1
    assert Fraction(up) - Fraction(down) in (0, Fraction(tick))


@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_vwap_of_trades(trades):
    vwap = Vwap()
    for price, size in trades:
        vwap.add(trade(price, size))
        vwap = kept(vwap)
    volume = sum((Fraction(size) for _, size in trades), Fraction(0))
    assert Fraction(vwap.volume) == volume
    paid = sum((Fraction(price) * Fraction(size) for price, size in trades), Fraction(0))
    assert Fraction(vwap.paid) == paid, "exact, however many"
    assert (vwap.value is None) if not trades else is_near(vwap.value, paid / volume)


@given(st.lists(numbers, min_size=1, max_size=30), st.integers(1, 50))
def test_ema(values, span):
    ema, exact = Ema(span), Fraction(values[0])
    for place, value in enumerate(values):
        if place:
            exact += Fraction(2, span + 1) * (Fraction(value) - exact)
        assert abs(Fraction(ema.add(value)) - exact) <= Fraction(1, 10**15)
        ema = kept(ema)
    assert min(values) <= ema.value + Decimal("1e-15") and ema.value - Decimal("1e-15") <= max(values)
    assert Ema(1, Decimal(5)).add(Decimal(7)) == 7, "a span of one is the last value"


@given(st.lists(st.decimals("0.01", "1000", places=2), min_size=2, max_size=30), st.integers(1, 10))
def test_volatility(prices, window):
    volatility = Volatility(window)
    for price in prices:
        volatility.add(price)
        volatility = kept(volatility)
    returns = [math.log(b / a) for a, b in itertools.pairwise(prices)]
    if len(returns) < window:
        assert volatility.value is None
    else:
        expected = math.sqrt(sum(change**2 for change in returns[-window:]))
        assert math.isclose(volatility.value, expected, rel_tol=1e-9, abs_tol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 20), numbers, st.booleans()), max_size=20), st.integers(0, 25))
def test_trade_flow(trades, now):
    flow = TradeFlow(seconds=5)
    for time, size, bought in sorted(trades):
        flow.add(trade(1, size, "buy" if bought else "sell", time * SECOND))
        flow = kept(flow)
    signed = [
        Fraction(size) if bought else -Fraction(size) for time, size, bought in trades if time > now - 5
    ]
    assert Fraction(flow.value(now * SECOND)) == sum(signed, Fraction(0))


@given(st.lists(st.tuples(st.integers(0, 60), numbers, numbers), min_size=1, max_size=30))
def test_candles(trades):
    trades = sorted(trades, key=lambda one: one[0])
    candles, ended = Candles(seconds=10, keep=1000), []
    for time, price, size in trades:
        done = candles.add(trade(price, size, time=time * SECOND))
        ended += [] if done is None else [done]
        candles = kept(candles)
    assert candles.finished == ended
    for candle in [*ended, candles.running]:
        own = [one for one in trades if one[0] * SECOND // (10 * SECOND) * 10 * SECOND == candle.time]
        prices = [price for _, price, _ in own]
        assert (candle.open, candle.close) == (prices[0], prices[-1])
        assert (candle.high, candle.low, candle.trades) == (max(prices), min(prices), len(own))
        assert Fraction(candle.volume) == sum(Fraction(size) for *_, size in own)
    assert sum(candle.trades for candle in ended) + candles.running.trades == len(trades)


def test_only_so_many_candles_are_kept_and_late_trades_count():
    candles = Candles(seconds=1, keep=2)
    for second in range(5):
        candles.add(trade(second + 1, 1, time=second * SECOND))
    assert [candle.open for candle in candles.finished] == [3, 4]
    assert candles.add(trade(9, 1, time=0)) is None
    assert candles.running == Candle(4 * SECOND, *map(Decimal, (5, 9, 5, 9, 2)), trades=2)


def test_they_are_fields_of_a_state():
    class Follower(Strategy):
        class State(msgspec.Struct):
            mid: Ema = msgspec.field(default_factory=lambda: Ema(3))
            flow: TradeFlow = msgspec.field(default_factory=lambda: TradeFlow(60))

        def on_book(self, book, ctx):
            ctx.state.mid.add(book.mid)

        def on_trade(self, trade, ctx):
            ctx.state.flow.add(trade)

    follower = Follower()
    trial = Trial(follower)
    trial.book("binance", bid="99", ask="101")
    trial.book("binance", bid="101", ask="103")
    trial.trade("binance", side="sell", price="101", size="0.5")
    state = trial.state(follower)
    assert state.mid.value == 101 and state.flow.value(trial.now) == Decimal("-0.5")
    key = ("strategy_states", trial.market.runs[0].key)
    again = Trial(follower)
    again.market.restore(
        lambda table, name: trial.market.take_dirty().get(key) if (table, name) == key else None
    )
    assert again.state(follower) == state


@pytest.mark.parametrize("value", [Vwap(), Volatility(3)])
def test_before_there_is_anything_there_is_no_value(value):
    assert value.value is None
