"""More workers on the same preloaded topics: does a delta cost each of them what it costs one alone?"""

from __future__ import annotations

import asyncio

from bench import pipeline
from bench.goals import Goal, Section
from bench.options import Options
from bench.report import table

GOAL = 0.9
"""Deltas a CPU-second with two workers, in multiples of those with one."""


def run(options: Options) -> Section:
    load = pipeline.RawLoad(options.deltas, options.books).make()
    found = pipeline.medians(load, options.workers, options.repeats)
    first = found[0]
    beside = asyncio.run(pipeline.drain(load, beside=True))
    print(f"1 worker beside a busy core: {beside.microseconds:.1f} µs a delta", flush=True)
    rows = [[*pipeline.row(one), f"{first.microseconds / one.microseconds:.2f} ×"] for one in found]
    slower = first.microseconds / beside.microseconds
    rows.append([f"{beside.workers}, the other core busy", *pipeline.row(beside)[1:], f"{slower:.2f} ×"])
    goals = [
        Goal(
            f"{one.workers} workers to {first.workers}, deltas a CPU-second",
            first.microseconds / one.microseconds,
            "≥",
            GOAL if one.workers == 2 else None,
        )
        for one in found[1:]
    ]
    goals.append(Goal("1 worker beside a busy core to one alone, deltas a CPU-second", slower))
    values = {"table": table([*pipeline.HEADER, "to the first"], rows), "repeats": options.repeats}
    return Section(values | {"deltas": load.deltas, "books": load.books}, goals)
