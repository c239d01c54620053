"""The best levels of a book, as a subscription of limited depth is told of them; pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from tradeflow.simulator.ladder import Change, Ladder

Level = tuple[int, int]
"""(ticks, lots)."""


class View:
    """The best `depth` levels a side.

    Told are changes within them, and levels that come in because better ones went; not told are levels that
    fall out because better ones came: who maintains the book must cut it after each update."""

    def __init__(self, bids: Ladder, asks: Ladder, depth: int) -> None:
        self.depth = depth
        self._ladders = (bids, asks)
        self._last = [self._end(bids), self._end(asks)]

    def apply(self, bids: Sequence[Change], asks: Sequence[Change]) -> tuple[list[Level], list[Level]]:
        """What is told of these changes, which the ladders have already made: absolute lots, 0 removes."""
        told_bids, told_asks = (self._told(side, changes) for side, changes in enumerate((bids, asks)))
        return told_bids, told_asks

    def refine(self, factor: int) -> None:
        """The ladders count in ticks that are so many times finer."""
        self._last = [last * factor for last in self._last]

    def _end(self, ladder: Ladder) -> float:
        """How bad the price of the last level in view is; infinity: the whole side is in view."""
        return _badness(ladder, ladder.price_at(self.depth - 1)) if len(ladder) >= self.depth else math.inf

    def _told(self, side: int, changes: Sequence[Change]) -> list[Level]:
        ladder, before = self._ladders[side], self._last[side]
        after = self._last[side] = self._end(ladder)
        told = {}
        for price, _, lots in changes:
            badness = _badness(ladder, price)
            if badness <= (after if lots else min(before, after)):
                told[price] = lots
        if before < after:
            start = bisect_right(
                range(len(ladder)), before, key=lambda rank: _badness(ladder, ladder.price_at(rank))
            )
            for rank in range(start, min(len(ladder), self.depth)):
                price = ladder.price_at(rank)
                told[price] = ladder.lots[price]
        return list(told.items())


def _badness(ladder: Ladder, price: int) -> int:
    return -price if ladder.bid else price
