"""More workers on the same preloaded topics: does a delta cost each of them what it costs one alone?"""

from __future__ import annotations

from bench.goals import Goal, Section
from bench.options import Options
from bench.pipeline import HEADER, RawLoad, medians, row
from bench.report import table

GOAL = 0.9
"""Deltas a CPU-second with two workers, in multiples of those with one."""


def run(options: Options) -> Section:
    load = RawLoad(options.deltas, options.books).make()
    found = medians(load, options.workers, options.repeats)
    first = found[0]
    rows = [[*row(one), f"{first.microseconds / one.microseconds:.2f} ×"] for one in found]
    goals = [
        Goal(
            f"{one.workers} workers to {first.workers}, deltas a CPU-second",
            first.microseconds / one.microseconds,
            "≥",
            GOAL if one.workers == 2 else None,
        )
        for one in found[1:]
    ]
    values = {"table": table([*HEADER, "to the first"], rows), "repeats": options.repeats}
    return Section(values | {"deltas": load.deltas, "books": load.books}, goals)
