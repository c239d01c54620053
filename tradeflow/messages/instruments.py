"""What an exchange says of an instrument."""

from __future__ import annotations

from typing import Literal

import msgspec


class Listing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An instrument as its exchange lists it; null: the exchange doesn't say."""

    kind: Literal["spot", "linear", "inverse", "quanto"]
    """What a size counts: the base currency (spot), or contracts that pay in the quote currency (linear), the
    base currency (inverse), or a third one (quanto)."""
    base: str
    quote: str
    tick: str | None = None
    """Prices are multiples of it."""
    lot: str | None = None
    """Sizes of orders are multiples of it."""
    min_notional: str | None = None
    """Least price × size of an order, in the quote currency."""
    multiplier: str | None = None
    """A contract is so much of the base currency (linear), of the quote currency (inverse), or of `settle` for each
    unit of the price (quanto)."""
    settle: str | None = None
    """The currency in which contracts pay."""
