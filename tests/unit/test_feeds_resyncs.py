"""Which gaps become a resync of one book, how often, and when the connection is restarted instead."""

from __future__ import annotations

from itertools import pairwise

import pytest
from feed_server import Sent

from tradeflow.feeds.pace import Pace
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.resyncs import FIRST_DELAY, GOOD_SECONDS, LONGEST_DELAY, Resyncs
from tradeflow.feeds.source import Sink, Source

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")


class Able(Source):
    """Notes what it is asked for; `able`: as most exchanges are."""

    exchange = "kraken"
    able = True

    def __init__(self) -> None:
        self.symbols = list(SYMBOLS)
        self.asked: list[str] = []
        self.doubts: list[int] = []
        """How many had been asked for when it was told to doubt."""

    async def run(self, sink: Sink) -> None: ...

    def resync(self, symbol: str) -> bool:
        self.asked.append(symbol)
        return self.able

    def doubt_instruments(self) -> None:
        self.doubts.append(len(self.asked))


class Trial:
    def __init__(self) -> None:
        self.now = 100.0
        self.source = Able()
        self.publisher = Publisher("kraken", dict.fromkeys(SYMBOLS, 0), Sent().send)
        self.resyncs = Resyncs(self.source, self.publisher, 10.0, lambda: self.now)
        self.connect(1)

    def connect(self, epoch: int) -> None:
        self.publisher.begin(epoch)
        self.resyncs.begin()
        for symbol in SYMBOLS:
            self.snapshot(symbol)

    def snapshot(self, symbol: str) -> None:
        levels = {"bids": [("1", "1")], "asks": [("2", "1")]}
        self.publisher.book(symbol, snapshot=True, exchange_time=None, receipt_time=1, **levels)

    def after(self, seconds: float) -> str:
        self.now += seconds
        return self.resyncs.step()


@pytest.fixture
def trial():
    return Trial()


def test_pace_doubles_to_its_cap_and_forgets_after_a_good_while():
    pace, now, delays = Pace(0.5, 3.0, 60.0, lambda: 1.0), 0.0, []
    assert pace.wait(now) == 0
    for _ in range(5):
        pace.tried(now)
        delays.append(pace.wait(now))
        now += delays[-1]
    assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]
    now += 59.0
    pace.tried(now)
    assert pace.wait(now) == 3.0, "it wasn't good for long enough"
    now += 63.0
    pace.tried(now)
    assert pace.wait(now) == 0.5


def test_pace_is_spread_over_the_upper_half_of_each_delay():
    pace = Pace(1.0, 8.0, 60.0, lambda: 0.0)
    pace.tried(0.0)
    assert pace.wait(0.0) == 0.5


def test_a_gap_is_one_resync_at_once(trial):
    assert trial.after(0) == "" and trial.source.asked == [] and trial.resyncs.wait == float("inf")
    trial.publisher.gap("ETH-USDT", "checksum")
    assert trial.after(0) == "" and trial.after(1) == ""
    assert trial.source.asked == ["ETH-USDT"] and trial.resyncs.count == 1
    trial.snapshot("ETH-USDT")
    assert trial.after(60) == "" and trial.source.asked == ["ETH-USDT"]


def test_a_doubted_instrument_is_the_sources_matter_before_its_book_is(trial):
    trial.publisher.gap("ETH-USDT", "price 1.5 is not a multiple of the tick 1", doubts_instrument=True)
    trial.publisher.gap("BTC-USDT", "checksum")
    assert trial.after(0) == "" and trial.after(1) == ""
    assert (trial.source.doubts, len(trial.source.asked)) == ([0], 2), (
        "once, and before anything is asked for"
    )
    trial.publisher.gap("ETH-USDT", "price 1.5 is not a multiple of the tick 1", doubts_instrument=True)
    trial.after(1)
    assert trial.source.doubts == [0, 2], "it isn't better"


def test_a_doubted_instrument_is_the_sources_matter_before_a_restart(trial):
    for symbol in SYMBOLS:
        trial.publisher.gap(symbol, "price 1.5 is not a multiple of the tick 1", doubts_instrument=True)
    assert "4 of 4 books have gaps" in trial.after(0)
    assert trial.source.doubts and not trial.source.asked


def test_a_book_with_gap_after_gap_is_asked_for_less_and_less_until_it_was_good_for_a_while(trial):
    gaps = []
    for _ in range(12):
        trial.publisher.gap("ETH-USDT", "checksum")
        asked, started = len(trial.source.asked), trial.now
        while len(trial.source.asked) == asked:
            assert trial.after(0) == ""
            trial.now += 0.01
        gaps.append(trial.now - started)
        trial.snapshot("ETH-USDT")
        assert trial.after(0) == ""
    assert gaps[0] < 0.02
    assert FIRST_DELAY / 2 <= gaps[1] <= FIRST_DELAY + 0.02
    assert all(LONGEST_DELAY / 2 <= gap <= LONGEST_DELAY + 0.02 for gap in gaps[8:])
    trial.publisher.gap("SOL-USDT", "checksum")
    trial.after(0)
    assert trial.source.asked[-1] == "SOL-USDT", "each book has a pace of its own"
    trial.snapshot("SOL-USDT")
    trial.after(LONGEST_DELAY + GOOD_SECONDS)
    trial.publisher.gap("ETH-USDT", "checksum")
    trial.after(0)
    assert trial.source.asked[-1] == "ETH-USDT"


def test_a_snapshot_that_is_as_bad_is_asked_for_again(trial):
    trial.publisher.gap("ETH-USDT", "checksum")
    assert trial.after(0) == ""
    trial.publisher.gap("ETH-USDT", "checksum of the snapshot")
    assert trial.after(0.01) == "" and len(trial.source.asked) == 1
    assert 0 < trial.resyncs.wait <= FIRST_DELAY
    assert trial.after(FIRST_DELAY) == "" and len(trial.source.asked) == 2


def test_a_snapshot_that_does_not_come_restarts_the_connection(trial):
    trial.publisher.gap("ETH-USDT", "checksum")
    assert trial.after(0) == ""
    assert trial.resyncs.wait == trial.source.resync_patience
    assert trial.after(4.9) == ""
    assert trial.after(0.2) == "no snapshot of ETH-USDT in 5 s after its resync began: checksum"
    trial.connect(2)
    assert trial.after(1) == ""


def test_restarts_become_rare_while_they_do_not_help(trial):
    """One book that never heals may not take the others down each few seconds."""
    restarts = []
    for epoch in range(2, 5000):
        trial.publisher.gap("ETH-USDT", "checksum")
        if trial.after(0.5):
            restarts.append(trial.now)
            trial.connect(epoch)
        elif len(restarts) == 6:
            break
    waits = [b - a for a, b in pairwise(restarts)]
    assert 5 <= waits[0] <= 11 and 10 <= waits[1] <= 21 and waits[-1] >= 80


def test_an_exchange_that_can_only_restart_does_so_at_most_each_interval(trial):
    trial.source.able = False
    trial.publisher.gap("ETH-USDT", "gap: have 1, got 3 of epoch 1")
    assert trial.after(0) == "resync of ETH-USDT: gap: have 1, got 3 of epoch 1"
    trial.connect(2)
    trial.publisher.gap("ETH-USDT", "again")
    assert trial.after(4.9) == "" and 0 < trial.resyncs.wait <= 5.1
    assert trial.after(5.1) == "resync of ETH-USDT: again"


def test_several_gaps_at_once_are_the_connections(trial):
    for symbol in SYMBOLS[:2]:
        trial.publisher.gap(symbol, "checksum")
    assert trial.after(0) == "" and trial.source.asked == list(SYMBOLS[:2])
    trial.publisher.gap("XRP-USDT", "checksum")
    assert trial.after(0) == "3 of 4 books have gaps; BTC-USDT: checksum"


def test_a_new_connection_forgets_what_was_asked_for(trial):
    trial.publisher.gap("ETH-USDT", "checksum")
    trial.after(0)
    trial.publisher.down("cut")
    trial.connect(2)
    assert not trial.publisher.gaps
    trial.publisher.gap("ETH-USDT", "checksum")
    assert trial.after(10) == "" and len(trial.source.asked) == 2, "its five seconds begin anew"
