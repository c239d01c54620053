"""`View`: how far the levels of a book are known whose snapshot didn't contain the whole."""

from __future__ import annotations

from tables.book import Book
from tradeflow.messages import Level

KNOWN_LEVELS = 100
"""A new snapshot is taken before the price has moved so far that any of the best 100 could be a level that the last one
didn't contain."""


class View:
    """A book whose snapshot didn't contain the whole: how much of it is known."""

    def __init__(self, bids: list[Level], asks: list[Level], limit: int) -> None:
        """A snapshot, best levels first; a side of `limit` levels may have more."""
        self._book = Book(bids, asks)
        self._bid_edge, self._ask_edge = (side[-1][0] if len(side) >= limit else "" for side in (bids, asks))

    def update(self, bids: list[Level], asks: list[Level]) -> bool:
        """True if the next of the best levels could be one that the snapshot didn't contain."""
        book = self._book
        book.update(bids, asks)
        bid_edge, ask_edge = self._bid_edge, self._ask_edge
        return bool(bid_edge and book.bids.within(bid_edge) < KNOWN_LEVELS) or bool(
            ask_edge and book.asks.within(ask_edge) < KNOWN_LEVELS
        )
