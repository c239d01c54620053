"""The books inside the synthetic market: integers of ticks and lots, sorted, each change remembered; pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple


class Change(NamedTuple):
    """One level as an update left it; lots of 0 = not in the book."""

    price: int
    before: int
    after: int


class Ladder:
    """One side of a book.  `prices` ascend on both: the best bid is the last, the best ask the first."""

    def __init__(self, *, bid: bool) -> None:
        self.bid = bid
        self.lots: dict[int, int] = {}
        self.prices: list[int] = []
        self._before: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def best(self) -> int:
        """Raises IndexError if the side is empty."""
        return self.prices[-1] if self.bid else self.prices[0]

    def price_at(self, rank: int) -> int:
        """The price `rank` levels behind the best, or the last one."""
        rank = min(rank, len(self.prices) - 1)
        return self.prices[-1 - rank] if self.bid else self.prices[rank]

    def bests(self, depth: int) -> list[int]:
        """The best prices, best first."""
        return self.prices[: -depth - 1 : -1] if self.bid else self.prices[:depth]

    def set(self, price: int, lots: int) -> None:
        """Make the level this big; 0 removes it."""
        before = self.lots.get(price, 0)
        if lots == before:
            return
        self._before.setdefault(price, before)
        if not before:
            insort(self.prices, price)
        if lots:
            self.lots[price] = lots
        else:
            del self.lots[price]
            del self.prices[bisect_left(self.prices, price)]

    def reach(self, price: int) -> list[int]:
        """Prices that an order of the other side at `price` would meet, best first."""
        if self.bid:
            return self.prices[bisect_left(self.prices, price) :][::-1]
        return self.prices[: bisect_left(self.prices, price + 1)]

    def refine(self, factor: int) -> None:
        """Count in ticks that are so many times finer; only between two updates."""
        self.lots = {price * factor: lots for price, lots in self.lots.items()}
        self.prices = [price * factor for price in self.prices]

    def take_changes(self) -> list[Change]:
        """What changed since the last call, in order of first touch; what ended as it began is left out."""
        if not self._before:
            return []
        changes = [
            Change(price, before, after)
            for price, before in self._before.items()
            if (after := self.lots.get(price, 0)) != before
        ]
        self._before.clear()
        return changes

    def top(self, depth: int | None = None) -> list[tuple[int, int]]:
        """(ticks, lots), best first."""
        lots = self.lots
        return [(price, lots[price]) for price in self.bests(len(self) if depth is None else depth)]
