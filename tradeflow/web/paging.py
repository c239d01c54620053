"""A list in parts: each answer names its last row, and the next one begins behind it, whatever has come meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from msgspec import UNSET

from tradeflow.web.parameters import Paged
from tradeflow.web.problems import LOST_CURSOR, Problem


def part_of[T](rows: Iterable[T], page: Paged, name: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The rows of one answer, and the cursor of the next (None: there are no more).  `name` is a row's, and no
    other's.  Problem 404 for a cursor whose row isn't there."""
    left = iter(rows)
    if page.cursor is not UNSET and not any(name(row) == page.cursor for row in left):
        raise Problem(
            LOST_CURSOR,
            f"cursor={page.cursor!r}: no such row is in this list (any more); begin again without a cursor",
            cursor=page.cursor,
        )
    found = list(islice(left, page.limit))
    more = next(left, None) is not None
    return found, name(found[-1]) if more else None
