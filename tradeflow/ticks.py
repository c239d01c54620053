"""`Tick`: whether prices are multiples of an instrument's tick size, by their digits; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tradeflow.messages import Level

REMEMBERED = 10_000
"""Good prices that needn't be looked at again: a stream repeats most of them many times."""


class Tick:
    """`text`: a plain decimal above zero: "0.01", "0.5", "25"."""

    __slots__ = ("_decimals", "_good", "_units", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        whole, _, fraction = text.partition(".")
        fraction = fraction.rstrip("0")
        self._decimals = len(fraction)
        self._units = int(whole + fraction)
        """The tick is so many of its last decimal."""
        self._good: set[str] = set()

    def first_off(self, levels: Iterable[Level]) -> str:
        """The first price that isn't a multiple; empty if all are.  Prices: plain decimals."""
        good = self._good
        for price, _ in levels:
            if price not in good:
                if not self._is_multiple(price):
                    return price
                if len(good) >= REMEMBERED:
                    good.clear()
                good.add(price)
        return ""

    def fitting(self, levels: Iterable[Level]) -> Tick:
        """The coarsest tick of which this one and all these prices are multiples."""
        numbers = [text.partition(".") for text in (self.text, *(price for price, _ in levels))]
        decimals = max(len(fraction) for _, _, fraction in numbers)
        units = math.gcd(*(int(whole + fraction.ljust(decimals, "0")) for whole, _, fraction in numbers))
        digits = str(units).zfill(decimals + 1)
        return Tick(
            f"{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]}".rstrip("0").rstrip(".")
        )

    def _is_multiple(self, price: str) -> bool:
        whole, _, fraction = price.partition(".")
        if fraction[self._decimals :].strip("0"):
            return False
        return int(whole + fraction[: self._decimals].ljust(self._decimals, "0")) % self._units == 0
