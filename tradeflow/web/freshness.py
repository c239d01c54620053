"""What may still be called live, by this worker's own clock: it may have been frozen, or be cut off from Kafka.

A book's state comes from its log.  Where no log arrives nothing changes it, so an answer also says how far behind
the log this worker is, and calls nothing live beyond a limit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tradeflow.market.market import REFRESH
from tradeflow.messages import BookState

MAX_DELAY = 2_000_000_000
"""Nanoseconds by which a top of book may be published later than it should be."""
MAX_LEAD = 2_000_000_000
"""Nanoseconds by which a log may be ahead of this worker's clock: beyond, that clock can't tell what is old."""
MAX_TAIL_AGE = 2.0
"""Seconds without an answer of Kafka after which lists call no book live."""


class Quality(NamedTuple):
    state: BookState
    reason: str


def of_book(state: BookState, reason: str, heard: int, event_time: int, now: int, silence_ns: int) -> Quality:
    """Of a book in memory: its last sign of life must be recent by this worker's clock as well.

    The log says that a book is silent at the earliest with the next record, which may be late itself.
    Times in nanoseconds; `silence_ns` is what a book may be silent."""
    if state != "live":
        return Quality(state, reason)
    if event_time - now > MAX_LEAD:
        return _clock_is_behind(event_time - now)
    if now - heard <= silence_ns:
        return Quality(state, reason)
    behind = now - event_time
    if behind <= silence_ns:
        return Quality("stale", f"silent for {(now - heard) / 1e9:.1f} s")
    return Quality(
        "stale",
        f"this worker is {behind / 1e9:.1f} s behind: it was frozen, is overloaded, Kafka is away, or a clock is wrong",
    )


def of_list(state: BookState, reason: str, event_time: int, now: int, tail_age: float) -> Quality:
    """Of a top of book as the tail has it; `tail_age`: seconds since Kafka said that there is nothing newer."""
    if state != "live":
        return Quality(state, reason)
    if tail_age <= MAX_TAIL_AGE:
        age = now - event_time
        if -age > MAX_LEAD:
            return _clock_is_behind(-age)
        if age <= REFRESH + MAX_DELAY:
            return Quality(state, reason)
        return Quality(
            "stale", f"not published for {age / 1e9:.1f} s: its worker is dead, frozen, or starting"
        )
    since = "since it started or woke" if tail_age == math.inf else f"for {tail_age:.1f} s"
    return Quality("stale", f"this worker has heard nothing from Kafka {since}")


def _clock_is_behind(lead: int) -> Quality:
    return Quality(
        "stale", f"the log is {lead / 1e9:.1f} s ahead of this worker's clock: one of them is wrong"
    )
