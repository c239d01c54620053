"""Whether a price is a multiple of a tick, held to arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow import ticks
from tradeflow.ticks import Tick


@pytest.mark.parametrize(
    ("tick", "good", "bad"),
    [
        ("0.01", "64950.43 64950.4300000 64950.4 64950 64950.0", "64950.431 64950.4300001 0.001"),
        ("0.5", "100 100.5 100.50 0.5", "100.1 100.05 100.51 0.25"),
        ("0.05", "100.05 100.1 100.10 100", "100.01 100.051"),
        ("0.25", "1.25 1.5 1.75 2", "1.2 1.255 1.3"),
        ("1", "1 2.0 100", "1.5 0.1"),
        ("10", "10 100.00 20", "5 15 10.1"),
        ("2.5", "2.5 5 7.50 10", "2 2.4 6"),
        ("0.00000001", "0.00000001 123456789.00000001", "0.000000001"),
        ("0.03", "0.03 0.3 3 0.99", "0.01 0.1 1"),
    ],
)
def test_multiples(tick, good, bad):
    for price in good.split():
        assert Tick(tick).first_off([(price, "1")]) == "", price
    for price in bad.split():
        assert Tick(tick).first_off([("10.00", "1"), ("10.00", "2"), (price, "1")]) in (price, "10.00"), price
        assert Tick(tick).first_off([(price, "1")]) == price


plain = st.decimals(
    min_value=Decimal("0.0000000001"), max_value=Decimal(10**12), allow_nan=False, allow_infinity=False
).map(lambda number: format(number, "f"))


@given(plain, plain, st.integers(1, 10**6))
def test_as_arithmetic_says(tick, price, times):
    on = Fraction(price) / Fraction(tick)
    checked = Tick(tick)
    assert checked.first_off([(price, "1")]) == ("" if on.denominator == 1 else price)
    multiple = format(Decimal(tick) * times, "f")
    if Fraction(multiple) == Fraction(tick) * times:  # else it has more digits than Decimal keeps
        assert checked.first_off([(multiple, "1")]) == ""


def test_what_is_remembered_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(ticks, "REMEMBERED", 3)
    tick = Tick("1")
    for _ in range(2):
        assert tick.first_off([(str(price), "1") for price in range(1, 10)]) == ""
        assert tick.first_off([("1", "1"), ("2.5", "1")]) == "2.5"
        assert len(tick._good) <= 3


@given(plain, st.lists(plain, max_size=5))
def test_a_fitting_tick_is_the_coarsest_that_fits_all(tick, prices):
    levels = [(price, "1") for price in prices]
    fitting = Tick(tick).fitting(levels)
    assert fitting.first_off([*levels, (tick, "1")]) == ""
    numbers = [Fraction(number) / Fraction(fitting.text) for number in (tick, *prices)]
    assert math.gcd(*(number.numerator for number in numbers)) == 1
