"""When the paper exchange fills an order, rule by rule: docs/paper-exchange.md names these tests."""

from __future__ import annotations

import pytest
from paper_exchange import MS, START, Bench, bench

from tradeflow.execution.venue import NEVER

# --- there and back ---


def test_an_order_arrives_one_latency_later_and_its_report_another():
    one = bench()
    one.order("buy", "101", "1")
    assert not one.at(49).said
    one.delta(asks=[("101", "0")])  # gone before it arrives
    assert not one.at(99).said
    (accepted,) = one.at(100).said
    assert (accepted.status, accepted.number, accepted.leaves_size) == ("ACCEPTED", 0, "1")
    assert (accepted.exchange_time, accepted.receipt_time) == (START + 50 * MS, START + 100 * MS)
    assert one.venue.due == NEVER


def test_what_arrives_meets_the_book_as_it_was_just_before():
    one = bench()
    one.order("buy", "101", "1", tif="IOC")
    one.at(50).delta(asks=[("101", "0")])  # at the very moment of the arrival: too late
    assert one.fills() == [("101", "1")]


def test_a_cancel_can_lose_against_a_fill():
    one = bench()
    order = one.order("buy", "100.5", "1")
    one.at(60).cancel(order)
    one.at(105).trade("sell", "100.5", "1")  # the cancel arrives at 110
    assert one.story() == ["ACCEPTED", "FILLED"]  # and nothing of the cancel
    two = bench()
    order = two.order("buy", "100.5", "1")
    two.at(60).cancel(order)
    two.at(110).trade("sell", "100.5", "1")
    assert two.story() == ["ACCEPTED", "CANCELED"]
    assert two.end() == ("CANCELED", "REQUESTED")


def test_a_cancel_of_an_order_that_never_was_changes_nothing():
    one = bench()
    one.cancel("nobody's")
    assert one.story() == []


def test_reports_are_numbered_in_order_and_add_up():
    one = bench()
    one.order("buy", "102", "8")
    said = one.rest()
    assert [(each.number, each.execution_id) for each in said] == [(n, f"o1-{n}") for n in range(3)]
    assert [(each.filled_size, each.leaves_size) for each in said] == [("0", "8"), ("5", "3"), ("8", "0")]
    assert [each.average_price for each in said] == [None, "101", "101.375"]  # (5 × 101 + 3 × 102) / 8
    assert {(each.simulated, each.exchange_order_id) for each in said} == {(True, "paper-o1")}


# --- takers ---


def test_takers_walk_the_book_at_its_prices():
    one = bench()
    one.order("buy", "102", "8", tif="IOC")
    one.order("sell", None, "12")
    assert one.fills("o1") == [("101", "5"), ("102", "3")]
    assert one.fills("o2") == [("100", "5"), ("99", "7")]
    assert {each.liquidity for each in one.said if each.last_price} == {"taker"}


def test_what_was_taken_stays_taken_until_the_level_changes():
    one = bench()
    one.order("buy", "101", "4", tif="IOC")
    one.order("buy", "101", "4", tif="IOC")
    assert one.fills("o1") == [("101", "4")]
    assert one.fills("o2") == [("101", "1")]
    one.at(300).delta(bids=[("100", "6")])  # another level
    one.order("buy", "101", "1", tif="IOC")
    assert one.end("o3") == ("EXPIRED", "IOC")
    one.at(600).delta(asks=[("101", "2")])
    one.order("buy", "101", "4", tif="IOC")
    assert one.fills("o4") == [("101", "2")]


def test_ioc_expires_what_it_does_not_get():
    one = bench()
    one.order("buy", "101", "8", tif="IOC")
    one.order("buy", "100.5", "1", tif="IOC")
    assert one.story("o1") == ["ACCEPTED", "PARTIALLY_FILLED", "EXPIRED"]
    assert one.story("o2") == ["ACCEPTED", "EXPIRED"]
    assert one.end("o2") == ("EXPIRED", "IOC")


def test_fok_gets_all_or_nothing():
    one = bench()
    one.order("buy", "101", "5.1", tif="FOK")
    one.order("buy", "101", "5", tif="FOK")
    assert one.story("o1") == ["ACCEPTED", "EXPIRED"]
    assert one.end("o1") == ("EXPIRED", "FOK")
    assert one.fills() == [("101", "5")]


def test_a_market_order_expires_where_the_book_ends():
    one = bench()
    one.order("buy", None, "40")
    assert one.fills() == [("101", "5"), ("102", "10"), ("103", "20")]
    assert one.end() == ("EXPIRED", "NO_LIQUIDITY")


def test_what_a_limit_order_does_not_get_rests():
    one = bench()
    one.order("buy", "101", "8")
    assert one.story() == ["ACCEPTED", "PARTIALLY_FILLED"]
    one.at(200).delta(asks=[("101", "1.5")])  # somebody new comes to our price
    assert one.fills() == [("101", "5"), ("101", "1.5")]
    assert [each.liquidity for each in one.said if each.last_price] == ["taker", "maker"]


def test_post_only_is_rejected_if_it_would_take():
    one = bench()
    one.order("buy", "101", "1", post_only=True)
    one.order("buy", "100.5", "1", post_only=True)
    assert one.end("o1") == ("REJECTED", "POST_ONLY")
    assert one.story("o2") == ["ACCEPTED"]


def test_post_only_is_rejected_if_it_would_meet_our_own():
    one = bench()
    one.order("sell", "100.5", "1")
    one.order("buy", "100.5", "1", post_only=True)
    assert one.end("o2") == ("REJECTED", "POST_ONLY")


def test_post_only_takes_a_level_that_we_have_emptied_for_there():
    one = bench()
    one.order("buy", "101", "5", tif="IOC")
    one.order("buy", "101", "1", post_only=True)
    assert one.end("o2") == ("REJECTED", "POST_ONLY")


def test_an_order_that_would_meet_our_own_is_canceled_there():
    one = bench()
    one.order("sell", "102", "1")
    one.order("buy", "103", "20")
    one.order("buy", None, "1")  # nothing is left before our own
    one.order("buy", "102", "1", post_only=True)
    one.order("buy", "101.5", "1")  # below it: no matter
    assert one.fills("o2") == [("101", "5")]
    assert one.end("o2") == ("CANCELED", "SELF_TRADE")
    assert one.story("o3") == ["ACCEPTED", "CANCELED"]
    assert one.end("o4") == ("REJECTED", "POST_ONLY")
    assert one.story("o5") == ["ACCEPTED"]
    assert one.story("o1") == ["ACCEPTED"]  # the resting one stays


def test_fok_counts_nothing_behind_our_own_order():
    one = bench()
    one.order("sell", "102", "1")
    one.order("buy", "103", "6", tif="FOK")
    assert one.end("o2") == ("EXPIRED", "FOK")


# --- makers ---


def test_a_maker_stands_behind_all_that_is_shown():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).trade("sell", "100", "5")  # those who were there
    assert one.fills() == []
    one.at(200).trade("sell", "100", "1.5")
    assert one.fills() == [("100", "1.5")]
    assert one.said[-1].trade_id == "t1"
    assert one.said[-1].liquidity == "maker"


def test_a_trade_fills_no_more_than_it_brings_and_only_the_other_side():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).trade("buy", "100", "50")
    assert one.fills() == []
    one.at(200).trade("sell", "100", "6")
    assert one.fills() == [("100", "1")]


def test_orders_that_come_later_stand_behind():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).delta(bids=[("100", "50")])
    one.at(300).trade("sell", "100", "6")
    assert one.fills() == [("100", "1")]


def test_a_level_below_what_stood_before_us_moves_us_up_once_it_has_stood():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).delta(bids=[("100", "3")])  # two of the five have gone: from behind us nobody can have
    one.at(260).trade("sell", "100", "4")  # it has stood 200 ms
    assert one.fills() == [("100", "1")]


def test_a_level_that_has_stood_counts_though_it_grows_again():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).delta(bids=[("100", "3")])
    one.at(260).delta(bids=[("100", "50")])  # they are all behind us
    one.at(300).trade("sell", "100", "4")
    assert one.fills() == [("100", "1")]


def test_a_level_that_shrinks_behind_us_moves_nothing():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).delta(bids=[("100", "50")])
    one.at(300).delta(bids=[("100", "6")])  # 5 of these may still be those before us
    one.at(600).trade("sell", "100", "5")
    assert one.fills() == []


@pytest.mark.parametrize("first", ["book", "trade"])
def test_a_trade_and_the_book_that_shows_it_count_once_whichever_comes_first(first):
    one = bench()
    one.order("buy", "100", "2")
    one.at(60)
    events = [lambda: one.delta(bids=[("100", "2")]), lambda: one.trade("sell", "100", "3")]
    for event in events if first == "book" else reversed(events):
        event()
    one.at(70).trade("sell", "100", "2.5")  # 5 stood before us: 3 + 2, and half a coin for us
    assert one.fills() == [("100", "0.5")]


def test_a_price_beyond_what_the_book_shows_knows_its_queue_once_it_is_shown():
    one = bench()
    one.order("buy", "97", "1")
    one.at(60).trade("sell", "97", "50")  # how many stood there, nobody knows
    assert one.fills() == []
    one.at(200).delta(bids=[("97", "4")])
    one.at(500).trade("sell", "97", "4.5")
    assert one.fills() == [("97", "0.5")]


def test_a_level_that_the_depth_cuts_off_is_not_gone():
    one = Bench().snapshot(bids=[("100", "5"), ("99", "10")], asks=[("101", "5"), ("102", "5")], depth=2)
    one.order("buy", "99", "1")
    one.at(60).delta(bids=[("100.5", "1")])  # 99 is out of sight
    one.at(500).trade("sell", "99", "10")
    assert one.fills() == []
    one.at(700).trade("sell", "99", "1")
    assert one.fills() == [("99", "1")]


def test_a_trade_beyond_the_price_fills_at_the_limit():
    one = bench()
    one.order("buy", "100", "2")
    one.at(60).trade("sell", "99", "1.5")
    assert one.fills() == [("100", "1.5")]
    one.at(300).trade("sell", "100", "3")  # nobody is before us any more
    assert one.fills() == [("100", "1.5"), ("100", "0.5")]


def test_a_book_that_crosses_the_limit_fills_at_it_by_what_it_shows():
    one = bench()
    one.order("buy", "100", "3")
    one.at(60).delta(bids=[("100", "0")], asks=[("99.5", "1")])
    assert one.fills() == [("100", "1")]
    one.at(200).delta(bids=[("98", "19")])  # the same seller, still shown: taken
    assert one.fills() == [("100", "1")]
    one.at(300).delta(asks=[("99.5", "0"), ("100", "1.25")])  # at the price, and new
    assert one.fills() == [("100", "1"), ("100", "1.25")]


def test_of_our_own_orders_the_better_price_goes_first_then_the_first():
    one = bench()
    one.order("buy", "100.2", "1")
    one.order("buy", "100.4", "1")
    one.order("buy", "100.4", "1")
    one.at(60).trade("sell", "100.2", "2.5")
    assert [one.fills(order) for order in ("o2", "o3", "o1")] == [
        [("100.4", "1")],
        [("100.4", "1")],
        [("100.2", "0.5")],
    ]


def test_what_one_of_our_orders_got_no_other_gets():
    one = bench()
    one.order("buy", "100", "1")
    one.order("buy", "100", "1")
    one.at(60).trade("sell", "100", "5.5")
    assert (one.fills("o1"), one.fills("o2")) == ([("100", "0.5")], [])
    one.at(300).delta(bids=[("100", "0")], asks=[("100", "1")])
    assert (one.fills("o1"), one.fills("o2")) == ([("100", "0.5"), ("100", "0.5")], [("100", "0.5")])
