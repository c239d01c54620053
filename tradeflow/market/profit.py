"""What a strategy's own fills have earned, after fees; exact, and a function of the log as its positions are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from tables.exact import EXACT, text
from tables.order_books import OrderBook
from tables.positions import Position
from tradeflow.market.accounts import Place

_ZERO = Decimal(0)


def profit(positions: Mapping[Place, Position], books: Mapping[Place, OrderBook]) -> dict[str, str]:
    """Currency → realized and unrealized P&L, after fees.  Fees in a spot book's base currency count at its mid, as
    does what is open; where a book has no mid, those are left out."""
    return added(
        {position.currency: text(_of(position, books.get(place)))} for place, position in positions.items()
    )


def added(amounts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Currency → sum."""
    found: dict[str, Decimal] = {}
    for some in amounts:
        for currency, amount in some.items():
            found[currency] = EXACT.add(found.get(currency, _ZERO), Decimal(amount))
    return {currency: text(amount) for currency, amount in sorted(found.items())}


def _of(position: Position, book: OrderBook | None) -> Decimal:
    middle = book.book.mid_and_spread() if book is not None else None
    total = EXACT.subtract(position.realized, position.fees.get(position.currency, _ZERO))
    if middle is None:
        return total
    mid = Decimal(middle[0])
    total = EXACT.add(total, position.unrealized(mid))
    if position.contract == "spot":
        paid = position.fees.get(position.base_currency, _ZERO)
        total = EXACT.subtract(total, EXACT.multiply(paid, mid))
    return total
