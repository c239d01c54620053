"""The order book of one market: two ladders of price levels, exact to the last digit; pure and fast.

Prices and sizes are decimal strings and stay the strings that came in.  A price becomes an integer
(its digits at the ladder's scale) only when its level appears or goes; a new size of a known one is one dict
store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

Level = tuple[str, str]
"""(price, size), both plain decimal strings; the price without trailing zeros after the point."""

_PERCENT_DECIMALS = 6
_PERCENT_UNITS = 200 * 10**_PERCENT_DECIMALS  # 100 × spread / mid = 200 × spread / (bid + ask)


class Ladder:
    """One side of a book, worst level first: what changes most is at the end, where a list is cheap."""

    __slots__ = ("best", "keys", "prices", "scale", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        """`sign` is +1 for bids (the highest price is best), -1 for asks (the lowest is)."""
        self.sign = sign
        self.sizes: dict[str, str] = {}
        self.prices: list[str] = []
        self.keys: list[int] = []
        self.scale = 0
        self.best: Level | None = None

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget everything and hold `levels` (any order; of a repeated price the last counts)."""
        self.sizes = {price: size for price, size in dict(levels).items() if not _is_zero(size)}
        self.scale = max((_decimals(price) for price in self.sizes), default=0)
        pairs = sorted((self._key(price), price) for price in self.sizes)
        # Copies, for they have no room to spare: an eighth of it, where a list has grown.
        self.prices = [price for _, price in pairs][:]
        self.keys = [key for key, _ in pairs][:]
        self._note_best()

    def update(self, levels: Iterable[Level]) -> bool:
        """Set absolute sizes; size zero removes the level, if it is there.  True if the best price is another."""
        sizes = self.sizes
        for price, size in levels:
            if size[-1] == "0" and _is_zero(size):
                if price in sizes:
                    self._remove(price)
            else:
                if price not in sizes:
                    self._insert(price)
                sizes[price] = size
        # _note_best() without a call, nor a tuple where none is needed: this is the hot path
        best = self.best
        if best is None or not self.prices or best[0] is not (price := self.prices[-1]):
            return self._note_best()
        if best[1] is not (size := sizes[price]):
            self.best = (price, size)
        return False

    def cut(self, depth: int) -> bool:
        """Forget the levels beyond the best `depth`.  True if the best price is another: `depth` is 0."""
        extra = len(self.prices) - depth
        if extra > 0:
            for price in self.prices[:extra]:
                del self.sizes[price]
            del self.prices[:extra]
            del self.keys[:extra]
        return self._note_best()

    def top(self, n: int) -> list[Level]:
        """The best `n` levels, best first."""
        sizes = self.sizes
        return [(price, sizes[price]) for price in self.prices[: -n - 1 : -1]]

    def within(self, price: str) -> int:
        """Number of levels as good as `price` or better."""
        key = self._key(price)
        return len(self.keys) - bisect_left(self.keys, key)

    def _note_best(self) -> bool:
        was = self.best
        if not self.prices:
            self.best = None
            return was is not None
        price = self.prices[-1]
        self.best = (price, self.sizes[price])
        return was is None or was[0] != price

    def _insert(self, price: str) -> None:
        key = self._key(price)
        keys = self.keys
        index = len(keys) if not keys or key > keys[-1] else bisect_left(keys, key)
        keys.insert(index, key)
        self.prices.insert(index, price)

    def _remove(self, price: str) -> None:
        del self.sizes[price]
        prices = self.prices
        if prices[-1] == price:
            prices.pop()
            self.keys.pop()
        else:
            index = bisect_left(self.keys, self._key(price))
            del prices[index]
            del self.keys[index]

    def _key(self, price: str) -> int:
        """The price in units of 10^-scale, negated for asks; a price with more decimals grows the scale."""
        scale = self.scale
        if len(price) > scale and price[~scale] == ".":  # most prices have as many decimals: the fast way
            return self.sign * int(price.replace(".", "", 1))
        whole, _, fraction = price.partition(".")
        missing = self.scale - len(fraction)
        if missing < 0:
            self.keys = [key * 10**-missing for key in self.keys]
            self.scale = len(fraction)
        elif missing:
            fraction = fraction.ljust(self.scale, "0")
        return self.sign * int(whole + fraction)


class Book:
    """Bids and asks of one market.

    Levels are given as (price, size) strings whose prices are canonical: one spelling a price ("100.1", never
    "100.10"), no exponent, not negative.  The book believes what it is told: it may be empty or crossed."""

    __slots__ = ("asks", "bids")

    def __init__(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.bids = Ladder(+1)
        self.asks = Ladder(-1)
        if bids or asks:
            self.replace(bids, asks)

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """A snapshot: these levels and no others."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: Iterable[Level], asks: Iterable[Level]) -> bool:
        """A delta: absolute sizes of these levels; zero removes, where there is anything to remove.

        True if a best price is another."""
        moved = self.bids.update(bids) if bids else False
        return (self.asks.update(asks) or moved) if asks else moved

    def cut(self, depth: int) -> bool:
        """Forget the levels beyond the best `depth` of each side.  True if a best price is another."""
        moved = self.bids.cut(depth)
        return self.asks.cut(depth) or moved

    @property
    def best_bid(self) -> Level | None:
        return self.bids.best

    @property
    def best_ask(self) -> Level | None:
        return self.asks.best

    def top(self, n: int) -> tuple[list[Level], list[Level]]:
        """(bids, asks), at most `n` levels each, best first."""
        return self.bids.top(n), self.asks.top(n)

    @property
    def depth(self) -> tuple[int, int]:
        """Number of levels (bids, asks)."""
        return len(self.bids.prices), len(self.asks.prices)

    @property
    def crossed(self) -> bool:
        """True if the best bid is at or above the best ask."""
        if not self.bids.prices or not self.asks.prices:
            return False
        bid, ask, _ = self.touch()
        return bid >= ask

    def mid_and_spread(self) -> tuple[str, str, str] | None:
        """(mid, spread, 100 × spread / mid) as canonical decimal strings; None if a side is empty.

        Mid and spread are exact, the percentage is rounded half even to 6 decimals."""
        if not self.bids.prices or not self.asks.prices:
            return None
        bid, ask, scale = self.touch()
        both, spread = bid + ask, ask - bid
        if both == 0:
            return None
        return (
            decimal_text(5 * both, scale + 1),
            _known_text(spread, scale),  # spreads repeat, mids don't
            _known_text(_divide_half_even(_PERCENT_UNITS * spread, both), _PERCENT_DECIMALS),
        )

    def touch(self) -> tuple[int, int, int]:
        """Best bid and ask as integers of one scale, and that scale; both sides must hold a level."""
        bids, asks = self.bids, self.asks
        bid, ask, scale = bids.keys[-1], -asks.keys[-1], bids.scale
        if asks.scale > scale:
            bid *= 10 ** (asks.scale - scale)
            scale = asks.scale
        elif asks.scale < scale:
            ask *= 10 ** (scale - asks.scale)
        return bid, ask, scale


def decimal_text(value: int, scale: int) -> str:
    """`value` × 10^-scale as a canonical decimal string: no exponent, no trailing zeros after the point."""
    if value < 0:
        return "-" + decimal_text(-value, scale)
    digits = str(value)
    if not scale:
        return digits
    if len(digits) <= scale:
        digits = digits.zfill(scale + 1)
    text = f"{digits[:-scale]}.{digits[-scale:]}"
    return text if text[-1] != "0" else text.rstrip("0").rstrip(".")


_known_text = lru_cache(maxsize=4096)(decimal_text)


def _divide_half_even(numerator: int, denominator: int) -> int:
    """The nearest integer to the quotient, ties to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient % 2):
        quotient += 1
    return quotient


def _decimals(price: str) -> int:
    return len(price.partition(".")[2])


def _is_zero(size: str) -> bool:
    return not size.strip("0.")
