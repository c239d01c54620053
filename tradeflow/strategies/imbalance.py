"""`Imbalance`: follow the heavier side of one exchange's book."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradeflow.strategies.actions import Action, buy, sell
from tradeflow.strategies.strategy import Strategy
from tradeflow.strategies.views import BookView, Context


class Imbalance(Strategy):
    """Imbalance = (bids - asks) / (bids + asks), of the sizes in the best `levels` a side: -1 … 1.

    At `enter` or above it buys, at -`enter` or below it sells; when the imbalance has come back below `leave`
    it undoes that.  So it acts when a region is entered or left, never on each event.  All orders are IOC at
    the touch.  The position is what it has ordered, not what was filled."""

    exchange: str = "binance"
    levels: int = 5
    enter: Decimal = Decimal("0.6")
    leave: Decimal = Decimal("0.2")
    size: Decimal = Decimal("0.01")

    class State(msgspec.Struct):
        position: int = 0
        """In units of `size`: 1 bought, -1 sold."""

    def on_book(self, book: BookView, ctx: Context) -> Iterator[Action]:
        if book.exchange != self.exchange:
            return
        target = self._target(book, ctx.state.position)
        steps = target - ctx.state.position
        ctx.state.position = target
        if steps > 0:
            yield buy(book, book.ask.price, steps * self.size, tif="IOC", tag="imbalance")
        elif steps < 0:
            yield sell(book, book.bid.price, -steps * self.size, tif="IOC", tag="imbalance")

    def _target(self, book: BookView, position: int) -> int:
        bid, ask = book.volume(self.levels)
        # Compared without a division: sizes are above zero in a live book, and nothing is rounded.
        difference, total = bid - ask, bid + ask
        if difference >= self.enter * total:
            return 1
        if difference <= -self.enter * total:
            return -1
        return position if position * difference >= self.leave * total else 0
