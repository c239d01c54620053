"""Event time where clocks jump: receipt times are held to the broker's time of each record, which is in the log."""

from __future__ import annotations

import pytest

from tests.unit.market_log import BOOKS, SECOND, T, delta, snapshot
from tradeflow.market import Market
from tradeflow.market.market import AHEAD
from tradeflow.messages import Clock, Heartbeat

HOUR = 3600 * SECOND
SILENCE = 5 * SECOND


class Log:
    """A market whose events the broker appends at a time of its own, nanoseconds after T."""

    def __init__(self) -> None:
        self.market = Market(0, BOOKS, silence_ns=SILENCE)
        self.offset = -1

    def __call__(self, at: int, *events) -> None:
        for event in events:
            self.offset += 1
            self.market.apply(event, self.offset, T + at)

    def states(self) -> dict[str, str]:
        return {exchange: book.state for (exchange, _), book in self.market.books.items()}


@pytest.fixture
def log() -> Log:
    log = Log()
    log(0, snapshot(time=0), snapshot(time=0, exchange="kraken"))
    assert log.states() == {"binance": "live", "kraken": "live"}
    return log


def beat(time: int, exchange: str) -> Heartbeat:
    return Heartbeat(exchange=exchange, symbol="BTC-USDT", epoch=1, sequence=0, receipt_time=T + time)


def test_a_receipt_time_a_little_ahead_of_the_broker_is_believed(log):
    log(SECOND, delta(1, time=SECOND + AHEAD))
    assert log.market.event_time == T + SECOND + AHEAD


def test_a_receipt_time_far_ahead_moves_event_time_to_the_brokers_time(log):
    log(SECOND, delta(1, time=HOUR, bids=[("99", "1")]))
    assert log.market.event_time == T + SECOND
    book = log.market.books["binance", "BTC-USDT"]
    assert book.state == "live" and book.sequence == 1, "what it says of the book is as good as ever"
    assert book.heard == T + SECOND


def test_a_clock_that_jumps_ahead_and_back_silences_nobody(log):
    """The writer of the clock records and one feed an hour ahead for ten seconds, the other feed right all along."""
    for second in range(1, 31):
        now = second * SECOND
        jump = HOUR if 10 <= second < 20 else 0
        log(now, beat(now + jump, "binance"), beat(now, "kraken"), Clock(receipt_time=T + now + jump))
        assert log.states() == {"binance": "live", "kraken": "live"}, second
        assert log.market.event_time == T + now


def test_silence_is_seen_though_the_last_sign_of_life_claims_to_be_later(log):
    log(SECOND, beat(HOUR, "binance"))
    for second in range(2, 8):
        log(second * SECOND, beat(second * SECOND, "kraken"), Clock(receipt_time=T + second * SECOND))
    assert log.states() == {"binance": "stale", "kraken": "live"}


def test_a_clock_that_jumps_back_makes_its_feed_stale_until_it_is_right(log):
    for second in range(1, 21):
        now = second * SECOND
        jump = -HOUR if 5 <= second < 15 else 0
        log(now, beat(now + jump, "binance"), beat(now, "kraken"), Clock(receipt_time=T + now + jump))
        if second in (12, 14):
            assert log.states() == {"binance": "stale", "kraken": "live"}, second
        if second >= 15:
            assert log.states() == {"binance": "live", "kraken": "live"}, second


def test_a_broker_whose_clock_is_wrong_poisons_nothing(log):
    """Event time takes two clocks to go wrong: the broker's alone can only hold it up."""
    for second in range(1, 21):
        now = second * SECOND
        jump = {1: HOUR, 2: -HOUR}.get(second // 7, 0)
        log(now + jump, beat(now, "binance"), beat(now, "kraken"), Clock(receipt_time=T + now))
        assert log.market.event_time <= T + now
    log(21 * SECOND, beat(21 * SECOND, "binance"), Clock(receipt_time=T + 21 * SECOND))
    assert log.market.event_time == T + 21 * SECOND
    assert log.states()["binance"] == "live"


def test_who_reads_no_broker_believes_every_time():
    market = Market(0, BOOKS)
    market.apply(Clock(receipt_time=T + HOUR), 0)
    assert market.event_time == T + HOUR
