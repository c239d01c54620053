"""`Sample`, one answer of one worker, and what a series of them says about a fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Place = tuple[str, str]
"""(exchange, symbol)."""


ABSURD = 1.0
"""Seconds from the future: a receipt time by a clock that is wrong."""


class Sample(NamedTuple):
    """Times in seconds since the epoch, but for `since` and `receipt_time`: nanoseconds, as served."""

    start: float
    end: float
    worker: str
    place: Place
    state: str
    """As served; "unserved" where there was no book."""
    reason: str = ""
    epoch: int = -1
    since: int = 0
    receipt_time: int = 0

    @property
    def live(self) -> bool:
        return self.state == "live"


def time_to_flag(samples: Iterable[Sample], before: dict[Place, Sample], begun: float) -> float | None:
    """Seconds until no worker calls the books of `before` live as they were; None while one still does.

    A book that was marked and is live again between two samples shows by its `since`.  Each worker must
    have been asked about each book.  An upper bound: what was only seen at the next sample counts till then."""
    first: dict[tuple[str, Place], float | None] = {}
    for sample in sorted(samples, key=lambda one: one.end):
        if sample.place not in before or sample.start < begun:
            continue
        key = sample.worker, sample.place
        if first.get(key) is None:
            marked = not sample.live or sample.since != before[sample.place].since
            # No answer at all is not an answer that says live: it counts from when it was asked for.
            at = sample.start if sample.state == "unserved" else sample.end
            first[key] = at - begun if marked else None
    if {place for _, place in first} != set(before) or None in first.values():
        return None
    return max(value for value in first.values() if value is not None)


def time_to_live(
    samples: Iterable[Sample], places: Iterable[Place], begun: float, over: float
) -> float | None:
    """Seconds from `over` until every book has been served as live, by a record received after `over`, once
    it had been marked since `begun` or not at all; None while one hasn't."""
    healed: dict[Place, float] = {}
    for sample in sorted(samples, key=lambda one: one.end):
        received = sample.receipt_time / 1e9
        fresh = over < received <= sample.end + ABSURD and sample.start >= begun
        if sample.live and fresh:
            healed.setdefault(sample.place, sample.end)
        elif not sample.live and sample.start >= over and sample.state != "unserved":
            healed.pop(sample.place, None)  # marked again, or only now
    missing = set(places) - healed.keys()
    return None if missing else max((healed[place] - over for place in places), default=0.0)
