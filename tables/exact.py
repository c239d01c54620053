"""Exact decimals: sums and products lose nothing, and a quotient is rounded knowingly."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact

EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
"""Holds the product of any two numbers of the wire (64 digits on either side of the point), and long sums of them."""

_LONG = Context(prec=18, rounding=ROUND_HALF_EVEN)
_QUOTIENT = Decimal(1).scaleb(-20)
_SHOWN = Context(prec=12, rounding=ROUND_HALF_EVEN)


def quotient(a: Decimal, b: Decimal) -> Decimal:
    """a / b, rounded half even to 20 decimals: what amounts are made of."""
    return EXACT.quantize(EXACT.divide(a, b), _QUOTIENT)


def average(a: Decimal, b: Decimal) -> Decimal:
    """a / b if 18 significant digits hold it, else rounded half even to 12: what is shown."""
    _LONG.clear_flags()
    value = _LONG.divide(a, b)
    return _SHOWN.divide(a, b) if _LONG.flags[Inexact] else value


def text(number: Decimal) -> str:
    """The one plain spelling: no exponent, no trailing zeros after the point, no minus before zero."""
    if not number:
        return "0"
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
