"""Histograms and percentiles of durations."""

from __future__ import annotations

import time

from tradeflow.metrics.timing import Histogram, Timing


def test_a_histogram_counts_by_upper_bound_as_prometheus_does():
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 1.5, 10, 11):
        histogram.observe(value)
    histogram.observe(4, times=3)
    assert histogram.buckets() == [("1", 2.0), ("10", 7.0), ("+Inf", 8.0)]
    assert histogram.sum == 0.5 + 1 + 1.5 + 10 + 11 + 12


def test_percentiles_are_of_the_last_seconds():
    timing, now = Timing(), time.time_ns()
    assert timing.summary_ms() == {"count": 0, "p50": None, "p99": None}
    timing.observe(9_000_000_000, now - 60_000_000_000)
    for milliseconds in range(1, 101):
        timing.observe(milliseconds * 1_000_000, now)
    assert timing.summary_ms(30) == {"count": 100, "p50": 51.0, "p99": 100.0}
    assert timing.summary_ms(newest=3) == {"count": 3, "p50": 99.0, "p99": 100.0}
    assert timing.summary_ms() == {"count": 101, "p50": 51.0, "p99": 100.0}
    assert timing.histogram.buckets()[-1] == ("+Inf", 101.0)
