"""Keyframes and the log between them: any earlier book is what it was, to the last digit and word."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from market_histories import BOOKS, history, market, steps

from tradeflow.history.rebuild import AtCause, AtRecord, AtTime, NeverThere, Rebuild
from tradeflow.messages import Cause, Clock, Delta, Keyframe, Order, Snapshot

OPTIONS = {"silence_ns": 3_000_000_000, "max_jump": 0.005}
SECOND = 1_000_000_000


class Past:
    """A log that was applied: after each event what every book was, the keyframes and orders so far."""

    def __init__(self, plan) -> None:
        self.log, _ = history(plan)
        self.frames: list[Keyframe] = []
        self.orders: list[tuple[int, Order]] = []
        self.times: list[int] = []
        self.books: list[dict] = []
        one = market()
        for offset, event in enumerate(self.log):
            one.apply(event, offset)
            for output in one.take_outputs():
                if output.topic == "keyframes":
                    self.frames.append(msgspec.json.decode(output.value, type=Keyframe))
                elif output.topic == "orders":
                    self.orders.append((offset, msgspec.json.decode(output.value, type=Order)))
            self.times.append(one.event_time)
            self.books.append({place: seen(book) for place, book in one.books.items()})

    def rebuilt(self, target, places=BOOKS):
        """As who reads Kafka does it: the last keyframe of each book before the target, then the log."""
        nearest = {}
        for frame in self.frames:
            if target.is_after(frame) and (frame.exchange, frame.symbol) in places:
                nearest[frame.exchange, frame.symbol] = frame
        rebuild = Rebuild(0, places, nearest.values(), OPTIONS)
        for offset in range(rebuild.first, len(self.log)):
            event = self.log[offset]
            if target.stops_before(event, event.receipt_time):
                break
            rebuild.apply(event, offset)
            if target.stops_after(event, rebuild.event_time):
                break
        else:
            if isinstance(target, AtRecord):
                raise NeverThere("the log ends")
        return rebuild


def seen(book):
    """All that anybody can see of a book, or of what becomes of it."""
    row = msgspec.json.decode(book.to_json())
    return {name: row[name] for name in row if name not in ("published", "pending", "asked")}


@settings(max_examples=30, deadline=None)
@given(steps, st.integers(0, 10**6))
def test_any_moment_is_rebuilt(plan, choice):
    past = Past(plan)
    place = choice % len(past.log)
    time = past.times[place]
    last = max(n for n, moment in enumerate(past.times) if moment <= time)
    rebuild = past.rebuilt(AtTime(time))
    assert {name: seen(rebuild.book(*name)) for name in BOOKS} == past.books[last]
    assert rebuild.event_time == time
    for name in BOOKS:  # each alone, from its own keyframe
        assert seen(past.rebuilt(AtTime(time), [name]).book(*name)) == past.books[last][name]


def _number(event):
    """(exchange, symbol, epoch, sequence) of a record with levels."""
    if type(event) not in (Delta, Snapshot):
        return None
    return event.exchange, event.symbol, event.epoch, event.sequence


@settings(max_examples=30, deadline=None)
@given(steps)
def test_the_book_of_any_record_is_rebuilt(plan):
    past = Past(plan)
    known = set()
    for offset, event in enumerate(past.log):
        number = _number(event)
        if number is None or number in known:
            continue
        known.add(number)
        name = number[:2]
        try:
            book = past.rebuilt(AtRecord(*number), [name]).book(*name)
        except NeverThere:
            assert (past.books[offset][name]["epoch"], past.books[offset][name]["sequence"]) != number[2:]
            continue
        first = past.books[offset][name]
        if (first["epoch"], first["sequence"]) == number[2:]:
            assert seen(book) == first
        else:  # it was broken; a keyframe may lie between this record and a repetition of it
            same = [place for place, one in enumerate(past.log) if _number(one) == number]
            assert seen(book) in [past.books[place][name] for place in same]


@settings(max_examples=30, deadline=None)
@given(steps)
def test_what_a_strategy_saw_is_rebuilt(plan):
    past = Past(plan)
    assume(past.orders)
    for offset, order in past.orders[:20]:
        rebuild = past.rebuilt(AtCause(order.cause, order.event_time))
        before = offset - 1 if order.cause.kind == "timer" and order.cause.timer != "silence" else offset
        assert {name: seen(rebuild.book(*name)) for name in BOOKS} == past.books[before], order.cause


@settings(max_examples=20, deadline=None)
@given(steps, st.data())
def test_what_a_plain_agent_may_have_seen_is_all_up_to_its_moment(plan, data):
    past = Past(plan)
    assume(len(past.times) > 2)
    moment = data.draw(st.sampled_from(past.times[:-1]))
    rebuild = past.rebuilt(AtCause(Cause(kind="agent"), moment))
    last = max(offset for offset, time in enumerate(past.times) if time <= moment)
    assert {name: seen(rebuild.book(*name)) for name in BOOKS} == past.books[last]


def long() -> Past:
    draw, plan = random.Random(1), []
    for _ in range(400):
        plan += [("delta", draw.randrange(4), draw.randrange(60)), ("time", 0, 50_000_000)]
        plan += [("snapshot", draw.randrange(4), draw.randrange(4))] if draw.random() < 0.2 else []
        plan += [("clock", 0, 0)]
    return Past(plan)


def test_one_keyframe_an_interval_and_book():
    past = long()
    for name in BOOKS:
        times = [frame.event_time for frame in past.frames if (frame.exchange, frame.symbol) == name]
        assert len(times) >= 18
        assert {after // SECOND - before // SECOND for before, after in itertools.pairwise(times)} <= {1, 2}
    assert len({frame.offset for frame in past.frames}) > len(past.frames) / 2, (
        "they are spread over the interval"
    )


def test_only_the_log_since_the_keyframe_is_read():
    past = long()
    place = len(past.log) * 3 // 4
    rebuild = past.rebuilt(AtTime(past.times[place]))
    assert place - 120 < rebuild.first < place


def test_a_keyframe_says_nothing_of_a_book_that_nobody_has_heard_of():
    one = market()
    for second in range(10):
        one.apply(Clock(receipt_time=(second + 1) * SECOND), second)
    assert [output.topic for output in one.take_outputs() if output.topic == "keyframes"] == []


def test_a_record_that_never_was_is_told():
    past = long()
    event = next(e for e in past.log if type(e) is Delta)
    target = AtRecord(event.exchange, event.symbol, event.epoch, 10**6)
    with pytest.raises(NeverThere, match="never was as of record 1000000 of epoch"):
        past.rebuilt(target, [(event.exchange, event.symbol)])
