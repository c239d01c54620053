"""`BookChange`: what plain agents get of a book, on the channel `book_changes`."""

from __future__ import annotations

import msgspec

from tables.order_books import State
from tradeflow.messages import Level


class BookChange(msgspec.Struct, frozen=True, kw_only=True):
    """A book as of one change: top of book and the best 20 levels a side."""

    exchange: str
    symbol: str
    state: State
    bid: Level | None
    ask: Level | None
    bids: list[Level]
    """Best first."""
    asks: list[Level]
    epoch: int
    sequence: int
    event_time: int
    missed: int = 0
    """Changes that this reader was too slow for, just before this one."""
