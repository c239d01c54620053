"""`Imbalance`: follow the heavier side of one exchange's book."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradeflow.strategies.actions import Action, buy, sell
from tradeflow.strategies.indicators import least_size
from tradeflow.strategies.strategy import Strategy
from tradeflow.strategies.views import BookView, Context


class Imbalance(Strategy):
    """Imbalance = (bids - asks) / (bids + asks), of the sizes in the best `levels` a side: -1 … 1.

    At `enter` or above it wants to be long by `size`, at -`enter` or below short; when the imbalance has come back
    below `leave`, flat.  So it acts when a region is entered or left, never on each event, and not while an order is
    under way.  All orders are IOC at the touch, for what is missing to the wanted position: what was denied or not
    filled is not tried again, and never undone either."""

    exchange: str = "binance"
    levels: int = 5
    enter: Decimal = Decimal("0.6")
    leave: Decimal = Decimal("0.2")
    size: Decimal = Decimal("0.01")
    """Where the exchange takes nothing that small: twice the least that it takes."""

    class State(msgspec.Struct):
        wanted: int = 0
        """Position, in units of `size`: 1 long, -1 short."""

    def on_book(self, book: BookView, ctx: Context) -> Iterator[Action]:
        if book.exchange != self.exchange or ctx.orders:
            return
        wanted = self._wanted(book, ctx.state.wanted)
        if wanted == ctx.state.wanted:
            return
        ctx.state.wanted = wanted
        unit = max(self.size, 2 * least_size(book, book.bid.price))
        missing = wanted * unit - ctx.position(self.exchange).size
        if missing > 0:
            yield buy(book, book.ask.price, missing, tif="IOC", tag="imbalance")
        elif missing < 0:
            yield sell(book, book.bid.price, -missing, tif="IOC", tag="imbalance")

    def _wanted(self, book: BookView, position: int) -> int:
        bid, ask = book.volume(self.levels)
        # Compared without a division: sizes are above zero in a live book, and nothing is rounded.
        difference, total = bid - ask, bid + ask
        if difference >= self.enter * total:
            return 1
        if difference <= -self.enter * total:
            return -1
        return position if position * difference >= self.leave * total else 0
