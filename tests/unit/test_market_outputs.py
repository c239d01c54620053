"""Market: what is published of its books, and when."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from market_log import BOOKS, SECOND, Log, T, delta, new_log, place, snapshot

from tradeflow.market import Market
from tradeflow.messages import Clock, Heartbeat, TopOfBook
from tradeflow.strategies.views import BookView


@pytest.fixture
def log():
    return new_log()


# --- top of book ---


def test_the_top_after_a_snapshot(log):
    assert log(snapshot())["top-of-book"] == [
        TopOfBook(
            exchange="binance",
            symbol="BTC-USDT",
            state="live",
            reason="",
            epoch=1,
            sequence=0,
            exchange_sequence=900,
            exchange_time=T - 5,
            event_time=T,
            last_verified=T,
            bid=("100", "1"),
            ask=("101", "2"),
            mid="100.5",
            spread="1",
            spread_pct="0.995025",
        )
    ]


def test_what_is_published_says_when_the_exchange_confirmed_it(log):
    log(snapshot())
    checked = delta(1, SECOND, bids=[("100", "2")])
    said = log(msgspec.structs.replace(checked, checksum=7), delta(2, 2 * SECOND, bids=[("100", "3")]))
    assert [top.last_verified for top in said["top-of-book"]] == [T + SECOND, T + SECOND]
    assert [book.last_verified for book in said["normalized-books"]] == [T + SECOND, T + SECOND]
    assert BookView(log.market.books["binance", "BTC-USDT"]).last_verified == T + SECOND


def test_the_top_is_published_when_it_changes(log):
    log(snapshot(bids=[("100", "1"), ("99", "1")]))
    assert "top-of-book" not in log(delta(1, bids=[("99", "3")])), "a level below the top"
    (top,) = log(delta(2, bids=[("100", "1.5")]))["top-of-book"]
    assert (top.bid, top.mid, top.sequence) == (("100", "1.5"), "100.5", 2)
    (top,) = log(delta(3, bids=[("100", "0")]))["top-of-book"]
    assert (top.bid, top.mid, top.spread, top.spread_pct) == (("99", "3"), "100", "2", "2")
    assert "top-of-book" not in log(delta(4, bids=[("99", "3")])), "the same again"


def test_the_top_is_published_when_the_state_changes(log):
    log(snapshot())
    (top,) = log(delta(5))["top-of-book"]
    assert (top.state, top.reason, top.bid) == ("broken", "gap: have 0, got 5 of epoch 1", ("100", "1"))
    assert not log(delta(6)), "nothing new to say"
    (top,) = log(snapshot(7))["top-of-book"]
    assert (top.state, top.sequence) == ("live", 7)


def test_another_reason_is_published_too(log):
    log(snapshot(asks=[]))
    (top,) = log(snapshot(1, bids=[("100", "1"), ("99", "1")], asks=[]))["top-of-book"]
    assert top.reason == "empty side: 2 bids, 0 asks"


def test_an_empty_or_crossed_book_has_no_made_up_numbers(log):
    (top,) = log(snapshot(bids=[]))["top-of-book"]
    assert (top.state, top.bid, top.ask, top.mid, top.spread) == ("broken", None, ("101", "2"), None, None)
    (top,) = log(snapshot(1, bids=[("102", "1")]))["top-of-book"]
    assert (top.state, top.reason) == ("broken", "crossed: bid 102 is not below ask 101")
    assert (top.bid, top.ask) == (("102", "1"), ("101", "2"))
    assert (top.mid, top.spread, top.spread_pct) == (None, None, None)


def test_every_book_is_published_again_for_new_readers(log):
    log(snapshot())
    log(Clock(receipt_time=T + 1))
    assert not log(Clock(receipt_time=T + 4 * SECOND), Heartbeat(**place(0, 4 * SECOND)))
    said = log(Clock(receipt_time=T + 6 * SECOND))
    assert [(top.exchange, top.state) for top in said["top-of-book"]] == [
        ("binance", "live"),
        ("kraken", "syncing"),
    ]
    assert not log(Clock(receipt_time=T + 7 * SECOND))


# --- normalized books ---


def test_levels_are_cut_at_the_depth(log):
    (book,) = log(snapshot(bids=[("98", "1"), ("100", "1"), ("99", "1")]))["normalized-books"]
    assert (book.bids, book.asks, book.state) == ([("100", "1"), ("99", "1")], [("101", "2")], "live")
    assert (book.epoch, book.sequence, book.exchange_sequence, book.event_time) == (1, 0, 900, T)


def test_at_most_ten_a_second_and_the_last_is_not_forgotten(log):
    books = log(snapshot())["normalized-books"]
    for number in range(1, 300):
        said = log(delta(number, number * SECOND // 100, bids=[("99", str(number))]))
        books += said.get("normalized-books", [])
    times = [book.event_time for book in books]
    assert len(times) == 30
    assert all(later - sooner >= SECOND // 10 for sooner, later in itertools.pairwise(times))
    (book,) = log(Clock(receipt_time=T + 3 * SECOND))["normalized-books"]
    assert (book.sequence, book.bids[1]) == (299, ("99", "299"))
    assert not log(Clock(receipt_time=T + 4 * SECOND)), "nothing has changed since"


def test_a_change_of_state_does_not_wait(log):
    log(snapshot())
    (book,) = log(delta(3, 1000))["normalized-books"]
    assert book.state == "broken"


# --- changes, for plain agents ---


def test_changes():
    log = Log(Market(0, BOOKS, want_changes=True))
    log(snapshot(bids=[(str(100 - n), "1") for n in range(30)]), delta(1, bids=[("85", "7")]), delta(1))
    first, second = log.market.take_changes()
    assert (first.exchange, first.symbol, first.state, first.bid, first.ask) == (
        "binance",
        "BTC-USDT",
        "live",
        ("100", "1"),
        ("101", "2"),
    )
    assert (len(first.bids), first.missed, first.event_time) == (20, 0, T)
    assert (second.sequence, second.bids[15]) == (1, ("85", "7"))
    assert not log.market.take_changes()


def test_no_changes_unless_wanted(log):
    log(snapshot())
    assert not log.market.take_changes()
