from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow.risk import gross_share, purses, shares

amounts = st.decimals(0, 10**30, places=9)
currencies = st.sampled_from(["USDT", "USD", "BTC", "ETH"])
places = st.tuples(
    st.sampled_from(["binance", "kraken"]), st.sampled_from(["A-USDT", "B-USDT", "C-BTC", "D-USD"])
)


@given(amounts, st.integers(1, 1000))
def test_parts_never_sum_up_to_more_and_hardly_to_less(total, parts):
    share = shares(total, parts)
    assert 0 <= Fraction(total) - Fraction(share) * parts < Fraction(parts, 10**8)


@pytest.mark.parametrize(("total", "parts"), [("100", 0), ("-1", 2)])
def test_what_can_not_be_divided_is_refused(total, parts):
    with pytest.raises(ValueError, match="can't be divided"):
        shares(Decimal(total), parts)


@given(
    amounts,
    st.sets(places, min_size=1),
    st.dictionaries(places.map(lambda place: place[1]), st.integers(0, 9)),
)
def test_the_gross_limit_is_never_exceeded_by_all_partitions_together(limit, books, placed):
    partitions = {symbol: placed.get(symbol, 0) for _, symbol in books}
    share = gross_share(limit, books, partitions)
    assert share is not None
    assert Fraction(share) * len(set(partitions.values())) <= limit


def test_only_partitions_in_use_count():
    partitions = {"A-USDT": 0, "B-USDT": 1, "C-BTC": 7}
    assert gross_share(Decimal(90), [("binance", "A-USDT"), ("kraken", "A-USDT")], partitions) == 90
    assert gross_share(Decimal(90), [("binance", "A-USDT"), ("kraken", "B-USDT")], partitions) == 45
    assert gross_share(None, [("binance", "A-USDT")], partitions) is None


@given(
    st.dictionaries(st.sampled_from(["binance", "kraken"]), st.dictionaries(currencies, amounts)),
    st.dictionaries(places, st.lists(currencies, max_size=3)),
)
def test_purses_never_hold_more_than_the_exchange(balances, used):
    divided = purses(balances, used)
    assert divided.keys() == used.keys()
    for exchange in ("binance", "kraken"):
        for currency in ("USDT", "USD", "BTC", "ETH"):
            held = [
                Fraction(purse.get(currency, 0)) for (where, _), purse in divided.items() if where == exchange
            ]
            assert sum(held) <= balances.get(exchange, {}).get(currency, 0)


def test_a_balance_is_divided_evenly_over_the_books_that_use_it():
    used = {
        ("binance", "BTC-USDT"): ("BTC", "USDT"),
        ("binance", "ETH-USDT"): ("ETH", "USDT"),
        ("binance", "ETH-BTC"): ("ETH", "BTC"),
        ("kraken", "BTC-USDT"): ("BTC", "USDT"),
    }
    divided = purses({"binance": {"USDT": Decimal(100), "BTC": Decimal(3)}}, used)
    assert divided["binance", "BTC-USDT"] == {"BTC": Decimal("1.5"), "USDT": Decimal(50)}
    assert divided["binance", "ETH-BTC"] == {"ETH": 0, "BTC": Decimal("1.5")}
    assert divided["kraken", "BTC-USDT"] == {"BTC": 0, "USDT": 0}
