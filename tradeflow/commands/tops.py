"""`Tops`: the latest top of each book as somebody else tells it, and since when nobody has told anything."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tradeflow.kafka_reader import KafkaReader
from tradeflow.messages import TopOfBook
from tradeflow.topics import TOP_OF_BOOK
from tradeflow.web.client import events
from tradeflow.web.freshness import of_list

Row = dict[str, Any]
"""A book as `/books` lists it."""

PATIENCE = 3.0
"""Seconds without a word of the worker, which says one a second, after which no book of it is live."""
LOOKBACK_MS = 30_000
"""Every book is published again more often than that."""


class Tops:
    """`wanted(exchange, symbol)`: which books are of interest."""

    def __init__(self, wanted: Callable[[str, str], bool]) -> None:
        self._wanted = wanted
        self._rows: dict[tuple[str, str], Row] = {}
        self._heard = time.monotonic()
        self._teller = "the worker"
        self._time = time.time_ns()
        """Of the worker, in nanoseconds, when it was heard last."""

    def heard(self, rows: Iterable[Row], time_ns: int | None = None) -> None:
        """What has changed, and the teller's time if it told that."""
        self._heard = time.monotonic()
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
            row |= {"state": "stale", "reason": f"no word of {self._teller} for {quiet:.0f} s"}
        return row


def told_by_worker(url: str) -> Iterator[tuple[list[Row], int | None]]:
    """Rows that changed, and the worker's time (ns), as `/stream` sends them.  Raises OSError when it falls silent."""
    for name, data in events(f"{url}/stream", PATIENCE):
        if name == "books":
            yield data, None
        elif name == "beat":
            yield [], data * 1_000_000


async def told_by_kafka(client: Mapping[str, Any]) -> AsyncIterator[tuple[list[Row], int | None]]:
    """The same from the topic itself, by this machine's clock; every book again at each step, for one goes stale by
    being silent."""
    tops: dict[tuple[str, str], TopOfBook] = {}
    decode = msgspec.json.Decoder(TopOfBook).decode
    async with KafkaReader(client) as reader:
        partitions = await reader.partitions([TOP_OF_BOOK])
        ends = await reader.ends(partitions)
        starts = await reader.at_time(partitions, time.time_ns() // 1_000_000 - LOOKBACK_MS)
        behind = {tp for tp in partitions if starts[tp] < ends[tp]}
        async for records in reader.follow(starts):
            for record in records:
                top = decode(record.value or b"")
                known = tops.get((top.exchange, top.symbol))
                if known is None or _version(top) >= _version(known):
                    tops[top.exchange, top.symbol] = top
                behind -= {tp for tp in behind if tp[:2] == record[:2] and record.offset + 1 >= ends[tp]}
            if not behind:
                now = time.time_ns()
                yield [_row(top, now) for top in tops.values()], now


def _version(top: TopOfBook) -> tuple[int, int, int]:
    return top.epoch, top.sequence, top.event_time


def _row(top: TopOfBook, now: int) -> Row:
    state, reason = of_list(top.state, top.reason, top.event_time, now, 0.0)
    return {**msgspec.structs.asdict(top), "state": state, "reason": reason}
