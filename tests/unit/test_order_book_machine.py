"""Histories of loss, repetition and reordering: a book is live exactly when it may be, and then it is the truth.

More of them: `make fuzz`, or TRADEFLOW_STORIES=50000 for this module."""

from __future__ import annotations

import os

import pytest
from book_story import DEPTH, SIZES, Reference, Story, tell
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tables import order_books
from tables.order_books import OrderBook

STORIES = int(os.environ.get("TRADEFLOW_STORIES", "2000"))

which = st.integers(0, 1)
changes = st.dictionaries(st.integers(94, 106), st.sampled_from(SIZES), max_size=3)


class BookMachine(RuleBasedStateMachine):
    """Hypothesis looks for a story that goes wrong, and makes it short."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()

    @rule(which=which)
    def a_feed_connects(self, which):
        self.story.connect(which)

    @rule(
        which=which,
        middle=st.integers(98, 102),
        levels=st.lists(st.tuples(st.integers(0, DEPTH + 2), st.sampled_from(SIZES)), max_size=DEPTH + 2),
    )
    def a_snapshot(self, which, middle, levels):
        self.story.snapshot(which, middle, levels)

    @rule(which=which, bids=changes, asks=changes)
    def a_delta(self, which, bids, asks):
        self.story.delta(which, bids, asks)

    @rule(which=which)
    def the_exchanges_check_fails(self, which):
        self.story.gap(which)

    @rule(which=which)
    def a_heartbeat(self, which):
        self.story.heartbeat(which)

    @rule(which=which)
    def the_connection_ends(self, which):
        self.story.down(which)

    @rule(which=which, count=st.integers(1, 9))
    def records_arrive(self, which, count):
        self.story.deliver(which, count)

    @rule(which=which)
    def a_record_is_lost(self, which):
        self.story.lose(which)

    @rule(which=which, back=st.integers(1, 9))
    def records_are_written_again(self, which, back):
        self.story.repeat(which, back)

    @rule(which=which)
    def records_change_places(self, which):
        self.story.reorder(which)

    @rule(nanoseconds=st.sampled_from([1, 500_000_000, 3_000_000_000, 3_000_000_001]))
    def time_passes(self, nanoseconds):
        self.story.silence(nanoseconds)

    @rule()
    def another_worker_goes_on(self):
        self.story.restore()

    @invariant()
    def what_is_live_is_true(self):
        self.story.check()


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_in_thousands_of_stories_what_is_live_is_true():
    live = sum(book.live for seed in range(STORIES) for book in tell(seed).books)
    assert live > STORIES / 10, "stories in which no book lives show nothing"


@pytest.mark.parametrize(
    "fault", ["a gap is overlooked", "an older epoch counts", "a crossed book is believed"]
)
def test_a_book_that_lies_is_found(fault, monkeypatch):
    """The stories and the reference would notice each of these within a few hundred."""
    if fault == "a gap is overlooked":

        def out_of_turn(self, record, now):
            if self._is_past(record) or self.state != "live":
                return order_books.Effect.DUPLICATE
            self._is_at(record, self.book.update(record.bids, record.asks), now)
            return order_books.Effect.APPLIED

        monkeypatch.setattr(OrderBook, "_out_of_turn", out_of_turn)
    elif fault == "an older epoch counts":
        monkeypatch.setattr(
            OrderBook,
            "_is_past",
            lambda self, record: record.epoch == self.epoch and record.sequence <= self.sequence,
        )
    else:
        monkeypatch.setattr(type(OrderBook("", "").book), "touch", lambda self: (1, 2, 0))
    with pytest.raises(AssertionError, match="story"):
        for seed in range(500):
            tell(seed)


def test_the_reference_knows_a_snapshot_from_a_delta():
    """It is written apart from the project's code; this holds it to the rules by hand."""
    story = Story()
    story.connect(0)
    story.snapshot(0, 100, [(0, "1"), (1, "2")])
    story.delta(0, {99: "0"}, {})
    reference = Reference(None)
    snapshot, delta = story.feeds[0].log
    reference.read(delta)
    assert reference.levels is None, "nothing may be believed before a snapshot"
    reference.read(snapshot)
    assert reference.levels == ({99: "1", 98: "2"}, {101: "1", 102: "2"})
    reference.read(delta)
    assert reference.levels == ({98: "2"}, {101: "1", 102: "2"}) and reference.is_live(story.now)
    reference.read(snapshot)
    assert reference.place == (1, 1), "what comes again changes nothing"
