"""What the paper exchange refuses, and what a fill costs, rule by rule: docs/paper-exchange.md names these tests."""

from __future__ import annotations

from decimal import Decimal

import pytest
from paper_exchange import Bench, bench

from tables.instruments import Instrument
from tradeflow.execution.fees import parse_fees

BTC = Instrument(
    exchange="kraken", symbol="BTC-USDT", base="BTC", quote="USDT", tick="0.5", lot="0.01", min_notional="10"
)
XBTUSD = Instrument(
    exchange="bitmex", symbol="BTC-USD-PERP", base="BTC", quote="USD", contract="inverse", contract_value="1"
)


# --- what is refused ---


@pytest.mark.parametrize(
    ("price", "size", "code", "reason"),
    [
        ("100.2", "1", "TICK", "price 100.2 is no multiple of the tick 0.5"),
        ("100", "1.005", "LOT", "size 1.005 is no multiple of the lot 0.01"),
        ("100", "0.09", "MIN_NOTIONAL", "notional 9 is below the least, 10 USDT"),
        (None, "0.09", "MIN_NOTIONAL", "notional 9.09 is below the least, 10 USDT"),  # at the best ask
    ],
)
def test_the_instruments_rules(price, size, code, reason):
    one = bench(instrument=BTC)
    one.order("buy", price, size)
    (said,) = one.rest()
    assert (said.status, said.reason_code, said.reason, said.number) == ("REJECTED", code, reason, 0)
    one.order("buy", "100.5", "0.1")
    assert one.story("o2") == ["ACCEPTED"]


def test_an_inverse_contracts_notional_is_its_number():
    least = {"min_notional": "100", "lot": "100", "exchange": "bitmex", "symbol": "BTC-USD-PERP"}
    known = Instrument(base="BTC", quote="USD", contract="inverse", contract_value="1", **least)
    one = bench(place=("bitmex", "BTC-USD-PERP"), instrument=known)
    one.order("buy", "100", "100")
    assert one.story() == ["ACCEPTED"]


def test_a_contract_whose_kind_is_unknown_is_refused_until_its_instrument_comes():
    one = bench(place=("bitmex", "BTC-USD-PERP"))
    one.order("buy", "100", "1")
    assert one.end() == ("REJECTED", "NO_INSTRUMENT")
    one.instruments["bitmex", "BTC-USD-PERP"] = XBTUSD
    one.order("buy", "100", "1")
    assert one.story("o2") == ["ACCEPTED"]


def test_an_exchange_without_fees_is_refused():
    one = bench(place=("okx", "BTC-USDT"))
    one.order("buy", "101", "1")
    assert one.end() == ("REJECTED", "NO_FEES")
    own = parse_fees('[[fee]]\nexchange = "okx"\nsince = 2025-01-01\nmaker = 0.0008\ntaker = 0.001')
    two = bench(place=("okx", "BTC-USDT"), fees=own)
    two.order("buy", "101", "1")
    assert two.rest()[-1].fee == "0.101"


def test_a_book_that_is_not_served_is_refused():
    one = bench()
    one.place = ("kraken", "ETH-USDT")
    one.order("buy", "101", "1")
    assert one.end() == ("REJECTED", "NO_BOOK")


# --- a book that isn't live ---


def test_nothing_matches_while_the_book_is_not_live():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).down()
    one.trade("sell", "99", "50")
    one.order("buy", "103", "1")
    one.rest()
    assert one.story("o1") == ["ACCEPTED"]
    assert one.end("o2") == ("REJECTED", "BOOK_NOT_LIVE")
    assert one.said[-1].reason == "the book is stale: down: lost"


def test_resting_orders_outlive_it_and_can_be_canceled_meanwhile():
    one = bench()
    one.order("buy", "100", "2")
    one.order("buy", "99", "2")
    one.at(60).down()
    one.cancel("o2")
    assert one.end("o2") == ("CANCELED", "REQUESTED")
    one.at(500).snapshot(bids=[("100", "3"), ("98", "1")], asks=[("101", "5")])
    assert one.story("o1") == ["ACCEPTED"]
    one.at(800).trade("sell", "100", "4")  # no more than 3 can stand before us now
    assert one.fills("o1") == [("100", "1")]


def test_a_snapshot_that_has_run_through_our_price_fills_at_the_limit():
    """Canceling it would be a gift: on the exchange it would have been hit."""
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).down()
    one.at(500).snapshot(bids=[("90", "3")], asks=[("91", "5")])
    assert one.fills() == [("100", "2")]


# --- money ---


def test_fees_are_the_takers_or_the_makers_in_their_currency():
    one = bench()
    one.order("buy", "101", "5")  # 0.4 % of 505
    one.order("sell", "100.5", "1")
    one.at(60).trade("buy", "100.5", "1")  # 0.25 % of 100.5
    said = [each for each in one.rest() if each.last_price]
    assert [(each.fee, each.fee_currency) for each in said] == [("2.02", "USDT"), ("0.25125", "USDT")]
    two = bench(place=("binance", "BTC-USDT"))
    two.order("buy", "101", "5")
    assert [(each.fee, each.fee_currency) for each in two.rest() if each.fee] == [("0.005", "BTC")]


def test_an_inverse_contracts_average_is_harmonic_and_its_fee_in_base():
    one = Bench(place=("bitmex", "BTC-USD-PERP"), instrument=XBTUSD)
    one.snapshot(bids=[("40000", "10")], asks=[("50000", "1000"), ("100000", "5000")])
    one.order("buy", "100000", "2000")
    last = one.rest()[-1]
    assert (last.average_price, last.filled_size) == ("66666.6666667", "2000")
    # 1,000 / 100,000 = 0.01 BTC, of which 0.05 %.
    assert (Decimal(last.fee), last.fee_currency) == (Decimal("0.000005"), "BTC")


def test_nothing_is_sold_for_nothing():
    """An inverse contract at price 0 would be worth more than there is."""
    one = Bench(place=("bitmex", "BTC-USD-PERP"), instrument=XBTUSD)
    one.snapshot(bids=[("1", "5"), ("0", "5")], asks=[("2", "5")])
    one.order("sell", None, "10")
    assert one.fills() == [("1", "5")]
    assert one.end() == ("EXPIRED", "NO_LIQUIDITY")


def test_the_fee_is_that_of_the_day():
    own = parse_fees(
        '[[fee]]\nexchange = "kraken"\nsince = 2020-01-01\nmaker = 0\ntaker = 0.01\n'
        '[[fee]]\nexchange = "kraken"\nsince = 2023-11-15\nmaker = 0\ntaker = 0.02'  # START is 2023-11-14, 22:13:20
    )
    one = bench(fees=own)
    one.order("buy", "101", "1")
    one.at(2 * 3_600_000).delta(asks=[("101", "6")])
    one.order("buy", "101", "1")
    assert [each.fee for each in one.rest() if each.fee] == ["1.01", "2.02"]


# --- where nobody has orders ---


def test_a_book_without_orders_costs_one_look(monkeypatch):
    """Nothing is kept of a place once its orders are closed and what they took has come back."""
    one = bench()
    one.order("buy", "101", "1")
    one.order("buy", "100.5", "1")
    one.rest()
    assert len(one.venue._desks) == 1
    one.cancel("o2")
    one.rest()
    one.delta(asks=[("101", "4")])
    assert not one.venue._desks
    one.venue.dirty = False
    one.delta(asks=[("101", "3")]).trade("buy", "101", "1")
    assert not one.venue.dirty
