"""A strategy for the latency trial: an order for every book event, so that each delta's way can be timed."""

from __future__ import annotations

from decimal import Decimal

from tradeflow.strategies.actions import buy
from tradeflow.strategies.strategy import Actions, Strategy
from tradeflow.strategies.views import BookView, Context


class EveryDelta(Strategy):
    """Bids a fixed size at the best bid, whatever happens: as a shadow, for what is timed ends with the order."""

    shadow = True

    size: Decimal = Decimal("0.01")

    def on_book(self, book: BookView, ctx: Context) -> Actions:
        return [buy(book, book.bid.price, self.size)]
