"""A strategy that always has something to say: small IOC orders that don't fill, five a second and symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeflow import Strategy, Struct, buy
from tradeflow.strategies import Actions


class Busy(Strategy):
    size: Decimal = Decimal("0.01")

    class State(Struct):
        last: int = 0

    def on_book(self, book: Any, ctx: Any) -> Actions:
        if book.exchange == "binance" and ctx.now - ctx.state.last > 200_000_000:
            ctx.state.last = ctx.now
            units = {"ADA-USDT": 10_000, "SOL-USDT": 100}.get(
                book.symbol, 1
            )  # more than any exchange's least
            yield buy(book, book.bid.price, units * self.size, tif="IOC")
