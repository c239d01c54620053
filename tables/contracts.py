"""What a size at a price is worth, by the kind of contract."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from tables.exact import EXACT, average, quotient

Contract = Literal["spot", "linear", "inverse"]
"""`spot`: sizes in base currency, money in quote.  `linear`: sizes in contracts of `value` base each, money in quote.
`inverse`: sizes in contracts of `value` quote each, money in base (BitMEX XBTUSD: 1 USD, in XBT)."""


def worth(contract: Contract, value: Decimal, price: Decimal, size: Decimal) -> Decimal:
    """Of `size` at `price`, in the currency that settles; exact, but inverse to 20 decimals.

    `value`: of one contract, 1 for spot.  Raises decimal.DivisionByZero for an inverse contract at price 0."""
    amount = EXACT.multiply(size, value)
    return quotient(amount, price) if contract == "inverse" else EXACT.multiply(amount, price)


def average_price(contract: Contract, value: Decimal, amount: Decimal, size: Decimal) -> Decimal:
    """The price at which `size` is worth `amount`: fills' arithmetic mean, of inverse contracts the harmonic one.

    Rounded as tables.exact.average() does."""
    units = EXACT.multiply(size, value)
    return average(units, amount) if contract == "inverse" else average(amount, units)
