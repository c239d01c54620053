"""`Tops`: the latest top of each book as somebody else tells it, and since when nobody has told anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tradeflow.web.client import events

Row = dict[str, Any]
"""A book as `/books` lists it."""

PATIENCE = 3.0
"""Seconds without a word of the worker, which says one a second, after which no book of it is live."""


class Tops:
    """`wanted(exchange, symbol)`: which books are of interest."""

    def __init__(self, wanted: Callable[[str, str], bool]) -> None:
        self._wanted = wanted
        self._rows: dict[tuple[str, str], Row] = {}
        self._heard = time.monotonic()
        self.trouble = ""
        """Why nothing is heard, if that is known."""
        self._time = time.time_ns()
        """Of the worker, in nanoseconds, when it was heard last."""

    def heard(self, rows: Iterable[Row], time_ns: int | None = None) -> None:
        """What has changed, and the teller's time if it told that."""
        self._heard, self.trouble = time.monotonic(), ""
        self._time = time_ns or self._time
        for row in rows:
            if self._wanted(row["exchange"], row["symbol"]):
                self._rows[row["exchange"], row["symbol"]] = row

    def rows(self) -> list[Row]:
        """Sorted, as of now: with ages, and all of them stale if nothing was heard for too long."""
        quiet = time.monotonic() - self._heard
        now = self._time + round(quiet * 1e9)
        return [self._as_of(self._rows[place], now, quiet) for place in sorted(self._rows)]

    def _as_of(self, row: Row, now: int, quiet: float) -> Row:
        event_time = row.get("event_time")
        row = {**row, "age_ms": round(max(0, now - event_time) / 1e6, 3) if event_time else None}
        if quiet > PATIENCE and row["state"] == "live":
            row |= {"state": "stale", "reason": f"no word of the worker for {quiet:.0f} s"}
        return row


def told_by_worker(url: str) -> Iterator[tuple[list[Row], int | None]]:
    """Rows that changed, and the worker's time (ns), as `/stream` sends them.  Raises OSError when it falls silent."""
    for name, data in events(f"{url}/stream", PATIENCE):
        if name == "books":
            yield data, None
        elif name == "beat":
            yield [], data * 1_000_000
