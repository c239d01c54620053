"""Positions: hand-made cases, worked out in the comments, and what holds for any fills."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.contracts import worth
from tables.exact import average, quotient, text
from tables.positions import Position

D = Decimal


def spot(**fields) -> Position:
    return Position(base_currency="BTC", quote_currency="USDT", **fields)


def xbtusd() -> Position:
    """BitMEX's perpetual: a contract is 1 USD, money is XBT."""
    return Position(contract="inverse", base_currency="BTC", quote_currency="USD", quote=D(1))


def trade(position: Position, *fills: tuple[str, str, str]) -> Position:
    for side, price, size in fills:
        position.fill(side, D(price), D(size), D(0), position.currency)
    return position


# --- by hand ---


def test_spot_average_partial_close_and_balances():
    one = spot(base=D(2), quote=D(1000))
    trade(one, ("buy", "100", "1"), ("buy", "104", "3"))
    # Cost 100 + 3 × 104 = 412 for 4: 103 each.  Balances: 2 + 4, 1000 - 412.
    assert (one.size, one.cost, one.average_price) == (4, 412, 103)
    assert (one.base, one.quote) == (6, 588)
    trade(one, ("sell", "110", "2"))
    # 2 of 4 take 206 of the cost and bring 220: 14 gained; the rest still averages 103.
    assert (one.realized, one.size, one.average_price) == (14, 2, 103)
    assert (one.base, one.quote) == (4, 808)
    assert one.unrealized(D("101.5")) == -3  # 2 × (101.5 - 103)


def test_a_quotient_that_is_no_finite_decimal_loses_nothing_from_the_sum():
    one = trade(spot(), ("buy", "100", "1"), ("buy", "101", "2"), ("sell", "102", "1"))
    # Cost 302 for 3: a third is 100.666…, rounded to 20 decimals; it brought 102.
    assert one.realized == D("1.33333333333333333333")
    assert one.cost == D("201.33333333333333333333")
    assert text(one.average_price) == "100.666666667"  # 12 digits
    trade(one, ("sell", "102", "2"))
    assert (one.size, one.cost, one.average_price, one.unrealized(D(7))) == (0, 0, None, 0)
    assert one.realized == 4  # 306 - 302, exactly


def test_through_zero_closes_all_and_begins_anew():
    one = trade(spot(), ("buy", "100", "2"), ("sell", "90", "5"))
    # 2 closed at a loss of 10 each; 3 short at 90.
    assert (one.realized, one.size, one.average_price, one.cost) == (-20, -3, 90, -270)
    assert one.unrealized(D(85)) == 15
    trade(one, ("buy", "80", "1"), ("buy", "95", "4"))
    # 1 bought back at 80 gains 10, 2 at 95 lose 5 each; 2 long at 95.
    assert (one.realized, one.size, one.average_price) == (-20, 2, 95)


def test_inverse_long_and_short_as_bitmex_works_them_out():
    # 50,000 contracts from 10,000 to 11,000: 50,000 × (1/10,000 - 1/11,000) = 0.4545… XBT.
    one = trade(xbtusd(), ("buy", "10000", "50000"))
    assert one.unrealized(D(11000)) == D(5) - D("4.54545454545454545455")
    assert one.unrealized(D(9000)) == D(5) - D(
        "5.55555555555555555556"
    )  # down 1,000 loses more: -0.5555… XBT
    trade(one, ("sell", "11000", "50000"))
    assert one.realized == D("0.45454545454545454545")
    assert one.quote == 1 + one.realized
    # Short from 10,000 to 8,000: 50,000 × (1/8,000 - 1/10,000) = 6.25 - 5 = 1.25 XBT.
    other = trade(xbtusd(), ("sell", "10000", "50000"), ("buy", "8000", "50000"))
    assert (other.realized, other.size, other.quote) == (D("1.25"), 0, D("2.25"))


def test_inverse_average_is_harmonic_and_parts_close_at_it():
    one = trade(xbtusd(), ("buy", "50000", "1000"), ("buy", "100000", "1000"))
    # Worth 0.02 + 0.01 XBT for 2,000 USD: 66,666.67 a coin, not 75,000.
    assert text(one.average_price) == "66666.6666667"
    trade(one, ("sell", "80000", "1000"))
    # Half of the cost, 0.015, against 1,000 / 80,000 = 0.0125: 0.0025 XBT gained.
    assert (one.realized, one.size, one.base) == (D("0.0025"), 1000, 1000)
    assert text(one.average_price) == "66666.6666667"


def test_linear_contracts_have_a_value_and_leave_the_balance_alone_until_closed():
    one = Position(
        contract="linear",
        contract_value=D("0.01"),
        base_currency="ETH",
        quote_currency="USDT",
        quote=D(100),
    )
    trade(one, ("sell", "3000", "50"))
    assert (one.quote, one.base, one.average_price) == (100, -50, 3000)
    trade(one, ("buy", "2900", "20"))  # 20 × 0.01 × 100 = 20
    assert (one.quote, one.realized, one.unrealized(D(3100))) == (120, 20, -30)


def test_fees_in_quote_in_base_and_in_something_else():
    one = spot(quote=D(1000))
    one.fill("buy", D(100), D(2), D("0.002"), "BTC")  # taken from what was received
    one.fill("sell", D(100), D(1), D("0.1"), "USDT")
    one.fill("sell", D(100), D("0.5"), D("-0.01"), "USDT")  # a rebate
    one.fill("sell", D(100), D("0.25"), D("0.0001"), "BNB")  # of a balance that isn't here
    assert one.fees == {"BTC": D("0.002"), "USDT": D("0.09"), "BNB": D("0.0001")}
    assert one.base == D("0.248")  # 2 - 0.002 - 1 - 0.5 - 0.25
    assert one.quote == 1000 - 200 + 100 + 50 + 25 - D("0.09")
    assert (one.size, one.realized) == (D("0.25"), 0)  # before fees
    two = xbtusd()
    two.fill("buy", D(50000), D(1000), D("0.00001"), "BTC")
    assert (two.quote, two.fees) == (D("0.99999"), {"BTC": D("0.00001")})


def test_exact_beyond_the_digits_of_decimals_own_context():
    price, size = D("123456789012345678.123456789"), D("98765432109876543.210987654321")
    one = spot()
    one.fill("buy", price, size, D(0), "USDT")
    assert Fraction(one.quote) == -Fraction(price) * Fraction(size)
    assert Fraction(one.cost) == Fraction(price) * Fraction(size)
    one.fill("sell", price, size, D(0), "USDT")
    assert (one.quote, one.realized) == (0, 0)


@pytest.mark.parametrize(
    ("number", "plain"),
    [("1E+3", "1000"), ("-0.100", "-0.1"), ("-0", "0"), ("0E-8", "0"), ("100", "100"), ("1E-7", "0.0000001")],
)
def test_numbers_have_one_plain_spelling(number, plain):
    assert text(D(number)) == plain


def test_averages_are_exact_where_they_can_be():
    assert average(D(1), D(1024)) == D("0.0009765625")
    assert average(D("2"), D(3)) == D("0.666666666667")
    assert quotient(D(1), D(3)) == D("0.33333333333333333333")


# --- for any fills ---

PRICES = st.decimals("0.01", "99999.99", places=2)
SIZES = st.decimals("0.0001", "999.9999", places=4)
FILLS = st.lists(st.tuples(st.sampled_from(["buy", "sell"]), PRICES, SIZES), max_size=25)
KINDS = st.sampled_from([("spot", D(1)), ("linear", D("0.001")), ("inverse", D(1)), ("inverse", D(100))])


def empty(kind: str, value: Decimal) -> Position:
    return Position(contract=kind, contract_value=value, base_currency="B", quote_currency="Q")


@given(KINDS, FILLS, PRICES)
def test_realized_and_unrealized_are_the_cash_flows_marked_at_the_mid(kind, fills, mid):
    contract, value = kind
    one, flows, size = empty(contract, value), Fraction(0), Fraction(0)
    for side, price, amount in fills:
        one.fill(side, price, amount, D(0), "Q")
        signed = Fraction(amount) * (1 if side == "buy" else -1)
        if contract == "inverse":
            flows += Fraction(worth(contract, value, price, amount)) * (1 if side == "buy" else -1)
        else:
            flows -= signed * Fraction(price) * Fraction(value)
        size += signed
    assert Fraction(one.size) == size
    marked = Fraction(worth(contract, value, mid, one.size)) * (-1 if contract == "inverse" else 1)
    assert Fraction(one.realized) + Fraction(one.unrealized(mid)) == flows + marked
    if contract == "inverse":  # and the 20 decimals are near what is exact
        exact = sum(
            (Fraction(amount) * Fraction(value) / Fraction(price) * (1 if side == "buy" else -1))
            for side, price, amount in fills
        ) - size * Fraction(value) / Fraction(mid)
        assert abs(flows + marked - exact) <= Fraction(len(fills) + 1, 10**20)


@given(
    FILLS,
    st.lists(st.tuples(st.decimals("-1", "1", places=3), st.sampled_from("BQ")), min_size=25, max_size=25),
    PRICES,
)
def test_balances_are_worth_what_was_gained_less_the_fees(fills, fees, mid):
    one = empty("spot", D(1))
    for (side, price, size), (fee, currency) in zip(fills, fees, strict=False):
        one.fill(side, price, size, fee, currency)
    paid = Fraction(one.fees.get("Q", 0)) + Fraction(one.fees.get("B", 0)) * Fraction(mid)
    balances = Fraction(one.base) * Fraction(mid) + Fraction(one.quote)
    assert balances == Fraction(one.realized) + Fraction(one.unrealized(mid)) - paid


@given(KINDS, FILLS)
def test_flat_means_nothing_left_and_the_average_lies_between_the_fills(kind, fills):
    one, prices = empty(*kind), []
    for side, price, size in fills:
        before = one.size
        one.fill(side, price, size, D("0.1"), "Q")
        if before * one.size <= 0:
            prices = []
        prices.append(price)
        if one.size:
            slack = D("1.0000000001")  # of 12 digits, and of the 20 decimals of a share
            assert min(prices) / slack <= one.average_price <= max(prices) * slack
        else:
            assert (one.cost, one.average_price, one.unrealized(D(5))) == (0, None, 0)


@given(KINDS, FILLS, st.integers(0, 25))
def test_a_stored_position_goes_on_the_same(kind, fills, cut):
    one = other = empty(*kind)
    for number, (side, price, size) in enumerate(fills):
        if number == cut:
            other = Position.decode(one.encode())
            assert other == one and other is not one
        for each in {id(one): one, id(other): other}.values():
            each.fill(side, price, size, D("0.25"), "Q")
    assert other == one and other.encode() == one.encode()
