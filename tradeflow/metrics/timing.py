"""`Histogram` and `Timing`: how often something took how long, cheap enough for every run of records."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, islice, takewhile
from typing import Any

KEPT = 10_000
"""Latest durations kept for percentiles."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of buckets for what takes from half a millisecond to ten seconds."""


class Histogram:
    """Counts by upper bound, all values since the start of the process."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many values don't exceed it), as Prometheus has them."""
        names = [*map(str, self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Timing:
    """Durations: a histogram of all, and the latest `kept` for percentiles."""

    def __init__(self, kept: int = KEPT) -> None:
        self.histogram = Histogram(SECONDS)
        self._latest: deque[tuple[int, int]] = deque(maxlen=kept)

    def observe(self, nanoseconds: int, now: int) -> None:
        """A duration that has ended `now`, in nanoseconds since 1970."""
        self.histogram.observe(nanoseconds / 1e9)
        self._latest.append((now, nanoseconds))

    def summary_ms(self, seconds: float | None = None, newest: int | None = None) -> dict[str, Any]:
        """count, p50 and p99 in milliseconds, of the last `seconds` and the `newest`; None where there is none."""
        since = 0 if seconds is None else time.time_ns() - round(seconds * 1e9)
        latest = takewhile(lambda one: one[0] >= since, islice(reversed(self._latest), newest))
        known = sorted(duration for _, duration in latest)
        if not known:
            return {"count": 0, "p50": None, "p99": None}
        return {
            "count": len(known),
            "p50": round(known[len(known) // 2] / 1e6, 3),
            "p99": round(known[min(len(known) - 1, len(known) * 99 // 100)] / 1e6, 3),
        }
