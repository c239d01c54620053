"""What is published and served of books."""

from __future__ import annotations

from typing import Literal

import msgspec

from tradeflow.messages.record import Level, Record

BookState = Literal["syncing", "live", "stale", "broken"]


class BookQuality(Record, frozen=True, kw_only=True):
    """What every published or served book says of itself."""

    exchange: str
    symbol: str
    state: BookState
    reason: str
    """Why it is in this state; empty when live."""
    epoch: int
    sequence: int
    exchange_sequence: int | None
    exchange_time: int | None
    event_time: int
    """Event time of the partition when this was published (largest receipt time seen)."""
    last_verified: int | None = None
    """Event time at which the exchange last confirmed the book: by a snapshot, or by a checksum that was right."""


class TopOfBook(BookQuality, frozen=True, kw_only=True):
    bid: Level | None
    ask: Level | None
    mid: str | None
    spread: str | None
    spread_pct: str | None
    """100 × spread / mid, rounded half even to 6 decimals."""


class NormalizedBook(BookQuality, frozen=True, kw_only=True):
    bids: list[Level]
    """Best first, at most 20."""
    asks: list[Level]


class Keyframe(Record, frozen=True, kw_only=True):
    """Value of `keyframes`: a whole book as of one place of the log.  What follows in the log makes every later one."""

    exchange: str
    symbol: str
    epoch: int
    sequence: int
    """Of the last record applied; -1: none of this epoch."""
    event_time: int
    offset: int
    """In `market-events`, same partition: the book is as of all records up to this one."""
    book: msgspec.Raw
    """All of it: state, provenance, every level, as tables/order_books.py writes it."""
