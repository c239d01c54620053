"""`Arbitrage`: buy where it is cheap, sell where it is dear, when the difference pays both fees."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradeflow.execution.fees import TAKER_FEES
from tradeflow.strategies.actions import Action, buy, sell
from tradeflow.strategies.strategy import Strategy
from tradeflow.strategies.views import BookView, Context


class Arbitrage(Strategy):
    """The same symbol on two exchanges.  Edge = what a unit earns after fees, as a fraction of its cost:

    bid × (1 - fee there) / (ask × (1 + fee here)) - 1.

    Above `min_edge` it sends both legs, IOC at the touch, for the smaller of the two sizes there, at most
    `max_size`.  A pair is armed again when its edge has gone, so one opportunity is taken once.  Only
    books that are live count, and only exchanges whose fee is known."""

    min_edge: Decimal = Decimal("0.0005")
    max_size: Decimal = Decimal("0.1")
    fees: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(TAKER_FEES))
    """exchange → taker fee as a fraction of the notional; by default the published ones of the lowest tier: they change
    and depend on the account, so pass your own."""

    class State(msgspec.Struct):
        taken: list[str] = msgspec.field(default_factory=list)
        """`cheap>dear` of the pairs whose edge was there at the last look."""

    def on_book(self, book: BookView, ctx: Context) -> Iterator[Action]:
        for other in ctx.books.values():
            if other.exchange != book.exchange and other.live:
                yield from self._legs(book, other, ctx.state.taken)
                yield from self._legs(other, book, ctx.state.taken)

    def _legs(self, cheap: BookView, dear: BookView, taken: list[str]) -> Iterator[Action]:
        pair = f"{cheap.exchange}>{dear.exchange}"
        if cheap.exchange not in self.fees or dear.exchange not in self.fees:
            return
        ask, bid = cheap.ask, dear.bid
        cost = ask.price * (1 + self.fees[cheap.exchange])
        proceeds = bid.price * (1 - self.fees[dear.exchange])
        if proceeds <= cost * (1 + self.min_edge):
            if pair in taken:
                taken.remove(pair)
        elif pair not in taken:
            taken.append(pair)
            size = min(ask.size, bid.size, self.max_size)
            yield buy(cheap, ask.price, size, tif="IOC", tag=pair)
            yield sell(dear, bid.price, size, tif="IOC", tag=pair)
