"""Market: what an event does to its book, to event time and to the counts."""

from __future__ import annotations

import msgspec
import pytest
from market_log import BOOKS, SECOND, T, delta, new_log, place, restarted, snapshot, trade

from tradeflow.messages import Clock, Down, Heartbeat, ResyncRequest


@pytest.fixture
def log():
    return new_log()


# --- event time, silence ---


def test_event_time_is_the_largest_receipt_time(log):
    log(snapshot(time=5), Heartbeat(**place(0, 3)))
    assert log.market.event_time == T + 5
    log(Clock(receipt_time=T + 9), trade(0, 7))
    assert log.market.event_time == T + 9


def test_a_silent_book_is_stale_and_says_so(log):
    log(snapshot(), snapshot(exchange="kraken", time=3 * SECOND))
    said = log(Clock(receipt_time=T + 5 * SECOND + 1))
    (top,) = [top for top in said["top-of-book"] if top.state == "stale"]
    assert (top.exchange, top.reason, top.bid) == ("binance", "silent for more than 5 s", ("100", "1"))
    (top,) = log(Heartbeat(**place(0, 5 * SECOND + 9)))["top-of-book"]
    assert (top.state, top.reason) == ("live", "")


def test_down_is_published(log):
    log(snapshot())
    (top,) = log(Down(**place(0, 5), reason="reset by peer"))["top-of-book"]
    assert (top.state, top.reason) == ("stale", "down: reset by peer")


# --- records that can't be applied ---


@pytest.mark.parametrize("level", [("1e5", "1"), ("9" * 5000, "1"), ("1.x", "1")])
@pytest.mark.parametrize("kind", [snapshot, delta])
def test_a_record_that_can_not_be_applied_spoils_its_book_only(log, kind, level):
    log(snapshot(), snapshot(exchange="kraken"))
    (top,) = log(kind(1, bids=[("100.5", "1"), level]))["top-of-book"]
    assert (top.exchange, top.state, top.bid, top.ask) == ("binance", "broken", None, None)
    assert top.reason.startswith("unusable record 1 of epoch 1: ")
    assert len(log.market.take_resyncs()) == 1
    assert restarted(log).market.books["binance", "BTC-USDT"].reason == top.reason
    (top,) = log(snapshot(2))["top-of-book"]
    assert (top.state, top.bid) == ("live", ("100", "1"))


# --- resync requests ---


def test_a_broken_book_asks_for_a_resync_now_and_then(log):
    log(snapshot(), delta(2, time=1))
    assert log.market.take_resyncs() == [
        ResyncRequest(
            feed=-1,
            exchange="binance",
            symbol="BTC-USDT",
            epoch=1,
            sequence=0,
            reason="gap: have 0, got 2 of epoch 1",
            time=T + 1,
        )
    ]
    log(delta(3, time=2), Clock(receipt_time=T + 4 * SECOND), snapshot(4, bids=[], time=4 * SECOND))
    assert not log.market.take_resyncs(), "the last request is only four seconds old"
    log(Clock(receipt_time=T + 6 * SECOND))
    assert [request.reason for request in log.market.take_resyncs()] == ["empty side: 0 bids, 1 asks"]
    log(Clock(receipt_time=T + 7 * SECOND))
    assert not log.market.take_resyncs()
    log(snapshot(5, time=7 * SECOND), Clock(receipt_time=T + 20 * SECOND))
    assert not log.market.take_resyncs()


# --- what is not served, and counts ---


def test_other_books_are_ignored(log):
    assert not log(snapshot(symbol="DOGE-EUR"), trade(0, exchange="okx"), delta(1, symbol="DOGE-EUR"))
    assert log.market.counts["ignored"] == 3
    assert set(log.market.books) == set(BOOKS)


def test_counts(log):
    log(snapshot(), delta(1), delta(1), delta(4), trade(0), snapshot(exchange="kraken"))
    counts = log.market.counts
    assert counts["snapshots"] == {"binance": 1, "kraken": 1}
    assert counts["deltas"] == {"binance": 1, "kraken": 0}
    assert counts["trades"] == {"binance": 1, "kraken": 0}
    assert (counts["duplicates"], counts["gaps"], counts["ignored"], counts["halted"]) == (1, 1, 0, [])
    assert msgspec.json.decode(msgspec.json.encode(counts))["gaps"] == 1


def test_a_book_knows_where_it_came_from(log):
    log(trade(0), snapshot(), delta(1), delta(1), Heartbeat(**place(1, 9)))
    assert log.market.books["binance", "BTC-USDT"].offset == 2
