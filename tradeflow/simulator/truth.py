"""What the true book was at every recent version: keyframes and the changes between them; pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tradeflow.simulator.ladder import Change

SEGMENT = 512
"""Versions between two keyframes: what one look-up has to apply at most."""


class UnknownVersion(LookupError):
    """The version asked for is not, or no longer, in the history; the message gives the range that is."""


class Version(NamedTuple):
    """A whole book: its number, its time in nanoseconds, and (ticks, lots) a side, best first."""

    sequence: int
    time: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class _Segment:
    """A keyframe and the changes after it, flat: sequence, time, bids, asks, then price and lots of each."""

    def __init__(self, sequence: int, time: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.sequence = sequence
        self.time = time
        self.bids = array("q", [n for level in bids.items() for n in level])
        self.asks = array("q", [n for level in asks.items() for n in level])
        self.changes = array("q")
        self.count = 1

    def refine(self, factor: int) -> None:
        for levels in (self.bids, self.asks):
            for i in range(0, len(levels), 2):
                levels[i] *= factor
        i = 0
        while i < len(self.changes):
            levels_end = i + 4 + 2 * (self.changes[i + 2] + self.changes[i + 3])
            for price in range(i + 4, levels_end, 2):
                self.changes[price] *= factor
            i = levels_end


class History:
    """The last `limit` versions of one book (a few more, as whole segments are dropped)."""

    def __init__(self, limit: int = 60_000) -> None:
        self._segments: deque[_Segment] = deque(maxlen=max(2, -(-limit // SEGMENT) + 1))
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self.sequence = 0
        self.time = 0

    @property
    def first(self) -> tuple[int, int]:
        """Sequence and time of the oldest version still known."""
        return self._segments[0].sequence, self._segments[0].time

    def record(self, sequence: int, time: int, bids: Iterable[Change], asks: Iterable[Change]) -> None:
        """Append a version: sequence and time must grow."""
        if self._segments and (sequence <= self.sequence or time <= self.time):
            raise ValueError(f"version {sequence} at {time} after {self.sequence} at {self.time}")
        flat = [sequence, time, 0, 0]
        for at, (levels, changes) in enumerate(((self._bids, bids), (self._asks, asks)), start=2):
            for price, _, lots in changes:
                flat[at] += 1
                flat += (price, lots)
                if lots:
                    levels[price] = lots
                else:
                    levels.pop(price, None)
        self.sequence, self.time = sequence, time
        if not self._segments or self._segments[-1].count >= SEGMENT:
            self._segments.append(_Segment(sequence, time, self._bids, self._asks))
        else:
            self._segments[-1].changes.extend(flat)
            self._segments[-1].count += 1

    def refine(self, factor: int) -> None:
        """Count all of it in ticks that are so many times finer."""
        self._bids = {price * factor: lots for price, lots in self._bids.items()}
        self._asks = {price * factor: lots for price, lots in self._asks.items()}
        for segment in self._segments:
            segment.refine(factor)

    def at(self, *, sequence: int | None = None, time: int | None = None) -> Version:
        """The book as of a sequence or a time (ns): the last version that is not later.  Default: the newest.

        Raises UnknownVersion for what is older than the history, or has a sequence still to come."""
        segments = list(self._segments)
        if sequence is None and time is None:
            sequence = self.sequence
        if sequence is not None:
            index = bisect_right(segments, sequence, key=lambda segment: segment.sequence) - 1
        else:
            index = bisect_right(segments, time, key=lambda segment: segment.time) - 1
        if index < 0 or (sequence is not None and sequence > self.sequence):
            first_sequence, first_time = self.first
            asked = f"sequence {sequence}" if sequence is not None else f"time {time}"
            raise UnknownVersion(
                f"{asked} is not in the history: it holds sequences {first_sequence}..{self.sequence}, "
                f"times {first_time}..{self.time}"
            )
        return _replay(segments[index], sequence, time)


def _replay(segment: _Segment, sequence: int | None, time: int | None) -> Version:
    bids, asks = _levels(segment.bids), _levels(segment.asks)
    at_sequence, at_time = segment.sequence, segment.time
    changes, i = segment.changes, 0
    while i < len(changes):
        next_sequence, next_time, n_bids, n_asks = changes[i : i + 4]
        if next_sequence > sequence if sequence is not None else next_time > (time or 0):
            break
        at_sequence, at_time = next_sequence, next_time
        i += 4
        for levels, n in ((bids, n_bids), (asks, n_asks)):
            for _ in range(n):
                if changes[i + 1]:
                    levels[changes[i]] = changes[i + 1]
                else:
                    levels.pop(changes[i], None)
                i += 2
    return Version(at_sequence, at_time, sorted(bids.items(), reverse=True), sorted(asks.items()))


def _levels(flat: Sequence[int]) -> dict[int, int]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
