"""Numbers of exchanges, by their digits: no float in between."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

LONGEST = 64
"""Digits before or after the point of a number that anybody means."""

_is_plain = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_is_exponential = re.compile(r"[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+").fullmatch


def exact(number: Decimal | int | str) -> str:
    """The number's own digits, without an exponent.

    Raises TypeError for a float, whose digits are lost, ValueError for a number of more than 64 digits."""
    if isinstance(number, str):
        number = Decimal(number)
    if isinstance(number, Decimal):
        if abs(number.adjusted()) > LONGEST:  # written out, 1E+999999999 is a gigabyte
            raise ValueError(f"{number} has more than {LONGEST} digits before or after the point")
        return format(number, "f")
    if isinstance(number, int):
        return str(number)
    raise TypeError(f"{number!r} is a {type(number).__name__}: prices and sizes must not pass through floats")


def digits(number: msgspec.Raw) -> str:
    """A JSON number's own digits, without an exponent.  Raises ValueError for what is no number, or negative."""
    text = bytes(number).decode()
    if _is_plain(text):
        return text
    if not _is_exponential(text):
        raise ValueError(f"{text[:100]} is no number that isn't negative")
    return exact(text)


def said(number: Decimal | int | str | None) -> str | None:
    """The digits of what an exchange says of an instrument; None where it says nothing, or 0 for nothing."""
    return exact(number) if number is not None and Decimal(number) else None
