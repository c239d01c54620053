"""Python's garbage collector, set for a worker: long-lived books, many short-lived records, few cycles."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New containers before the young are looked at: more than a run of records holds at a time."""


def settle_garbage() -> None:
    """Once everything is imported and started.

    What lives now lives on and is not looked at again: collecting modules and classes takes tens of milliseconds
    in which no record moves.  Reference counts free all else but cycles; those may wait longer than by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
