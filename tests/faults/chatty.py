"""A strategy that acts often and remembers: whatever is lost, repeated or reordered changes its orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zlib import crc32

from tradeflow import Strategy, buy, sell, timer
from tradeflow.strategies import Actions


class Chatty(Strategy):
    """An order at every third book event and every trade, tagged with a checksum of all it has seen."""

    every = 3

    class State(Strategy.State):
        events: int = 0
        seen: int = 0

    def on_book(self, book: Any, ctx: Any) -> Actions:
        state = ctx.state
        state.events += 1
        others = sum(other.sequence for other in ctx.books.values())
        state.seen = (state.seen * 31 + book.sequence + 7 * others + int(book.bid.price)) % 1_000_003
        if state.events % self.every == 0:
            yield buy(book, book.bid.price, Decimal("0.01"), tag=f"{state.events}/{state.seen}")

    def on_trade(self, trade: Any, ctx: Any) -> Actions:
        state = ctx.state
        state.seen = (state.seen * 37 + crc32(trade.trade_id.encode())) % 1_000_003
        book = ctx.books[trade.exchange]
        if book.state == "live":
            yield sell(book, book.ask.price, Decimal("0.02"), tag=f"trade {state.seen}")

    @timer(seconds=1)
    def tick(self, ctx: Any) -> Actions:
        ctx.state.seen = (ctx.state.seen * 41 + 1) % 1_000_003
        return ()


class Seldom(Chatty):
    """The same, where it is not the orders that are to be many."""

    every = 50
