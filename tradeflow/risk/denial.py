"""`Denial`: why an order may not go to a venue, with the value and the limit that it breaks."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from tables.exact import text

ReasonCode = Literal[
    "MALFORMED",
    "UNKNOWN_BOOK",
    "DUPLICATE_ID",
    "HALTED",
    "STALE_SIGNAL",
    "BOOK_NOT_LIVE",
    "UNKNOWN_INSTRUMENT",
    "UNKNOWN_RATE",
    "TICK",
    "LOT",
    "PRICE_COLLAR",
    "MIN_NOTIONAL",
    "ORDER_SIZE",
    "NOTIONAL",
    "REDUCE_ONLY",
    "SELF_TRADE",
    "OPEN_ORDERS",
    "POSITION",
    "BALANCE",
    "GROSS_NOTIONAL",
    "ORDER_RATE",
]
"""In the order in which they are looked at: the first that applies is the denial's."""


class Denial(msgspec.Struct, frozen=True):
    reason_code: ReasonCode
    value: str
    """What the order is, or would make of the account."""
    limit: str
    """What is allowed."""
    reason: str
    """Both in words."""


def above(code: ReasonCode, what: str, value: Decimal | int, name: str, limit: Decimal | int) -> Denial:
    """The denial of a value above the limit called `name` in risk.toml."""
    shown, allowed = text(Decimal(value)), text(Decimal(limit))
    return Denial(code, shown, allowed, f"{what} {shown} is above {name} {allowed}")
