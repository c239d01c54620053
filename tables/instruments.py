"""What may be traded on an exchange, and in which steps."""

from __future__ import annotations

import msgspec

from tables.contracts import Contract


class Instrument(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """As its exchange lists it; numbers are exact strings, None where the exchange doesn't say."""

    exchange: str
    symbol: str
    base: str
    quote: str
    contract: Contract = "spot"
    contract_value: str | None = None
    """Of one contract: in quote if inverse, in base if linear."""
    tick: str | None = None
    """Prices are multiples of it."""
    lot: str | None = None
    """Sizes are multiples of it."""
    min_notional: str | None = None
    """Least price × size of an order, in quote."""
