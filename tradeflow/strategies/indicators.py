"""Indicators: small pure functions over books and trades, for use in strategies.

What is a price, a size or a sum of them is exact.  What is a ratio or an average is a Decimal of 28 digits, rounded
half even: fit to compare with, and never sent as it is (`round_to` makes a price of it).  What goes on from event
to event keeps itself in a Struct, so it can be a field of a strategy's State.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Literal

import msgspec

from tables.exact import EXACT
from tradeflow.strategies.views import BookView, Quote, TradeView

_RATIO = Context(prec=28, rounding=ROUND_HALF_EVEN)
_ZERO, _ONE = Decimal(0), Decimal(1)


def microprice(book: BookView) -> Decimal:
    """The mid, drawn to the side that is thinner: (bid × ask size + ask × bid size) / both sizes."""
    bid, ask = book.bid, book.ask
    weighted = EXACT.add(EXACT.multiply(bid.price, ask.size), EXACT.multiply(ask.price, bid.size))
    return _RATIO.divide(weighted, EXACT.add(bid.size, ask.size))


def imbalance(book: BookView, levels: int = 5) -> Decimal:
    """(bids - asks) / (bids + asks), of the sizes in the best levels a side: -1 … 1."""
    bids, asks = (_sum(quote.size for quote in side) for side in book.top(levels))
    return _RATIO.divide(EXACT.subtract(bids, asks), EXACT.add(bids, asks))


def price_for(book: BookView, side: Literal["buy", "sell"], size: Decimal) -> Decimal | None:
    """The average price at which the visible book would fill a taker's order of `size`; None: it isn't that deep."""
    bids, asks = book.top(1_000_000)
    return vwap_of(asks if side == "buy" else bids, size)


def vwap_of(quotes: Iterable[Quote], size: Decimal) -> Decimal | None:
    """Volume-weighted average price of the first `size` of these levels; None where they hold less."""
    left, paid = size, _ZERO
    for price, available in quotes:
        taken = min(left, available)
        paid = EXACT.add(paid, EXACT.multiply(price, taken))
        left = EXACT.subtract(left, taken)
        if not left:
            return _RATIO.divide(paid, size)
    return None


def round_to(price: Decimal, tick: Decimal, towards: Literal["down", "up"]) -> Decimal:
    """The multiple of `tick` at or below (`down`), or at or above (`up`) a price; exact."""
    rounding = ROUND_FLOOR if towards == "down" else ROUND_CEILING
    steps = EXACT.divide(price, tick).to_integral_value(rounding)
    return EXACT.multiply(steps, tick)


def least_size(book: BookView, price: Decimal) -> Decimal:
    """The smallest size that the exchange takes at that price; 0 where it hasn't said."""
    known = book.instrument
    if known is None:
        return _ZERO
    least = known.lot or _ZERO
    if known.min_notional is None or known.kind == "inverse":
        return least
    units = (
        known.min_notional
        if known.multiplier is None
        else _RATIO.divide(known.min_notional, known.multiplier)
    )
    needed = _RATIO.divide(units, price)
    return max(least, round_to(needed, known.lot, "up") if known.lot else needed)


def takeable(book: BookView, size: Decimal, price: Decimal) -> Decimal:
    """At most `size`, in whole lots; 0 where that is less than the exchange takes."""
    known = book.instrument
    if known is not None and known.lot is not None:
        size = round_to(size, known.lot, "down")
    return size if size >= least_size(book, price) else _ZERO


class Vwap(msgspec.Struct):
    """Volume-weighted average price of trades, since it was made or reset."""

    paid: Decimal = _ZERO
    """Sum of price × size, exact."""
    volume: Decimal = _ZERO

    def add(self, trade: TradeView) -> None:
        self.paid = EXACT.add(self.paid, EXACT.multiply(trade.price, trade.size))
        self.volume = EXACT.add(self.volume, trade.size)

    @property
    def value(self) -> Decimal | None:
        """None before the first trade."""
        return _RATIO.divide(self.paid, self.volume) if self.volume else None


class Ema(msgspec.Struct):
    """Exponential moving average over the last `span` values: each weighs 2 / (span + 1).

    The first value is the average; 28 digits are kept of it."""

    span: int
    value: Decimal | None = None

    def add(self, number: Decimal) -> Decimal:
        """The average with this value in it."""
        if self.value is None:
            self.value = number
        else:
            step = _RATIO.divide(_RATIO.multiply(2, _RATIO.subtract(number, self.value)), self.span + 1)
            self.value = _RATIO.add(self.value, step)
        return self.value


class Volatility(msgspec.Struct):
    """Realized volatility: the root of the summed squares of the last `window` log returns between the prices given.

    Of one period of `window` steps, not annualized: × sqrt(periods a year) makes it that."""

    window: int
    squares: list[Decimal] = []
    last: Decimal | None = None

    def add(self, price: Decimal) -> None:
        if self.last is not None:
            change = _RATIO.ln(_RATIO.divide(price, self.last))
            self.squares.append(_RATIO.multiply(change, change))
            del self.squares[: -self.window]
        self.last = price

    @property
    def value(self) -> Decimal | None:
        """None until there are `window` returns."""
        if len(self.squares) < self.window:
            return None
        total = _ZERO
        for square in self.squares:
            total = _RATIO.add(total, square)
        return _RATIO.sqrt(total)


class TradeFlow(msgspec.Struct):
    """Bought minus sold by takers within the last `seconds` of receipt time, exact."""

    seconds: int
    trades: list[tuple[int, Decimal]] = []

    def add(self, trade: TradeView) -> None:
        size = trade.size if trade.side == "buy" else EXACT.minus(trade.size)
        self.trades.append((trade.receipt_time, size))

    def value(self, now: int) -> Decimal:
        """As of `now`, nanoseconds; what is older is forgotten."""
        since = now - self.seconds * 1_000_000_000
        self.trades = [one for one in self.trades if one[0] > since]
        return _sum(size for _, size in self.trades)


class Candle(msgspec.Struct):
    """Open, high, low and close of the trades of one period, exact; `time` is its beginning, nanoseconds."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int = 1


class Candles(msgspec.Struct):
    """Candles of `seconds`, by the trades' receipt times; the last `keep` finished ones.  Periods without a trade have
    none.  A late trade of a finished period counts in the running one."""

    seconds: int
    keep: int = 100
    finished: list[Candle] = []
    """Oldest first."""
    running: Candle | None = None

    def add(self, trade: TradeView) -> Candle | None:
        """The candle that this trade ends, being the first of a later period."""
        period = self.seconds * 1_000_000_000
        time = trade.receipt_time // period * period
        candle, price = self.running, trade.price
        if candle is not None and time <= candle.time:
            candle.high, candle.low = max(candle.high, price), min(candle.low, price)
            candle.close, candle.trades = price, candle.trades + 1
            candle.volume = EXACT.add(candle.volume, trade.size)
            return None
        self.running = Candle(time, price, price, price, price, trade.size)
        if candle is not None:
            self.finished.append(candle)
            del self.finished[: -self.keep]
        return candle


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for number in numbers:
        total = EXACT.add(total, number)
    return total
