"""`Arbitrage`: buy where it is cheap, sell where it is dear, when the difference pays both fees."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradeflow.execution.fees import TAKER_FEES
from tradeflow.strategies.actions import Action, buy, sell
from tradeflow.strategies.indicators import takeable
from tradeflow.strategies.order_views import ExecutionView
from tradeflow.strategies.strategy import Strategy, timer
from tradeflow.strategies.views import BookView, Context

UNWIND = "unwind"
"""Tag of the orders that close what a pair has left over."""


class Arbitrage(Strategy):
    """The same symbol on two exchanges.  Edge = what a unit earns after fees, as a fraction of its cost:

    bid × (1 - fee there) / (ask × (1 + fee here)) - 1.

    Above `min_edge` it sends both legs, IOC at the touch, for the smaller of the two sizes there, at most
    `max_size`; one pair at a time.  A pair is armed again when its edge has gone, so one opportunity is taken once.
    Only books that are live count, and only exchanges whose fee is known.

    **When one leg is denied or only half filled**, what the fills leave over (the sum of its positions on all
    exchanges) is unwound once both legs have ended: IOC where that costs least after fees.  What isn't filled of that
    is tried again as soon as it has ended; what is denied, each second, on an exchange that hasn't denied it before.
    Until nothing is left, or less than any exchange takes, it takes no new pair."""

    min_edge: Decimal = Decimal("0.0005")
    max_size: Decimal = Decimal("0.1")
    fees: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(TAKER_FEES))
    """exchange → taker fee as a fraction of the notional; by default the published ones of the lowest tier: they change
    and depend on the account, so pass your own."""

    class State(msgspec.Struct):
        taken: list[str] = msgspec.field(default_factory=list)
        """`cheap>dear` of the pairs whose edge was there at the last look."""
        denied: list[str] = msgspec.field(default_factory=list)
        """Exchanges on which the gate has denied to unwind since the last pair; anew when all have."""

    def on_book(self, book: BookView, ctx: Context) -> Iterator[Action]:
        if ctx.orders or self._where_to_unwind(ctx) is not None:
            return
        for other in ctx.books.values():
            if other.exchange == book.exchange or not other.live:
                continue
            for cheap, dear in ((book, other), (other, book)):
                legs = self._legs(cheap, dear, ctx.state.taken)
                if legs:
                    ctx.state.denied.clear()
                    yield from legs
                    return

    def on_execution(self, execution: ExecutionView, ctx: Context) -> Iterator[Action]:
        if execution.status != "DENIED" or execution.tag != UNWIND:
            yield from self._unwind(ctx)
            return
        if execution.exchange in ctx.state.denied:
            ctx.state.denied.clear()
        ctx.state.denied.append(execution.exchange)

    @timer(seconds=1)
    def unwind(self, ctx: Context) -> Iterator[Action]:
        yield from self._unwind(ctx)

    def _legs(self, cheap: BookView, dear: BookView, taken: list[str]) -> list[Action]:
        pair = f"{cheap.exchange}>{dear.exchange}"
        if cheap.exchange not in self.fees or dear.exchange not in self.fees:
            return []
        ask, bid = cheap.ask, dear.bid
        if self._proceeds(dear) <= self._cost(cheap) * (1 + self.min_edge):
            if pair in taken:
                taken.remove(pair)
            return []
        if pair in taken:
            return []
        taken.append(pair)
        size = takeable(cheap, takeable(dear, min(ask.size, bid.size, self.max_size), bid.price), ask.price)
        if not size:
            return []
        return [
            buy(cheap, ask.price, size, tif="IOC", tag=pair),
            sell(dear, bid.price, size, tif="IOC", tag=pair),
        ]

    def _unwind(self, ctx: Context) -> Iterator[Action]:
        """Close what the legs have left over, when none is under way."""
        if not ctx.orders and (order := self._where_to_unwind(ctx)) is not None:
            yield order

    def _where_to_unwind(self, ctx: Context) -> Action | None:
        """The order for it; None where nothing is left, or less than any exchange takes."""
        left = sum((ctx.position(exchange).size for exchange in ctx.books), Decimal(0))
        if not left:
            return None
        live = [book for book in ctx.books.values() if book.live and book.exchange in self.fees]
        if left > 0:
            books = _not_in(ctx.state.denied, [b for b in live if takeable(b, left, b.bid.price)])
            if not books:
                return None
            dear = max(books, key=self._proceeds)
            return sell(dear, dear.bid.price, takeable(dear, left, dear.bid.price), tif="IOC", tag=UNWIND)
        books = _not_in(ctx.state.denied, [b for b in live if takeable(b, -left, b.ask.price)])
        if not books:
            return None
        cheap = min(books, key=self._cost)
        return buy(cheap, cheap.ask.price, takeable(cheap, -left, cheap.ask.price), tif="IOC", tag=UNWIND)

    def _cost(self, book: BookView) -> Decimal:
        """Of buying one unit at the touch, fee included."""
        return book.ask.price * (1 + self.fees[book.exchange])

    def _proceeds(self, book: BookView) -> Decimal:
        """Of selling one unit at the touch, less the fee."""
        return book.bid.price * (1 - self.fees[book.exchange])


def _not_in(denied: list[str], books: list[BookView]) -> list[BookView]:
    """Those of other exchanges; all, where there is none."""
    return [book for book in books if book.exchange not in denied] or books
