"""What a backtest comes to: exact amounts, the P&L curve and the figures that follow from it; pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tables.exact import text

YEAR = 365 * 24 * 3600
"""Seconds; markets that never close."""

SHARPE = (
    "mean of the P&L changes from one sample to the next, divided by their sample standard deviation, times the root "
    "of the samples in 365 days; no risk-free rate, constant capital; null below 3 samples"
)


class BookResult(msgspec.Struct, frozen=True, kw_only=True):
    """One book; money in `currency` (of inverse contracts the base)."""

    exchange: str
    symbol: str
    currency: str
    position: str
    realized: str
    unrealized: str
    """At the last mid of the live book."""
    fees: dict[str, str]
    """Currency → paid."""
    pnl: str
    """realized + unrealized - fees, those in base at the last mid."""
    fills: int
    turnover: str
    """Sum of what fills were worth, in `currency`."""


class CurrencyResult(msgspec.Struct, frozen=True, kw_only=True):
    """All books whose P&L is in one currency; nothing is converted."""

    pnl: str
    max_drawdown: str
    """Largest fall of the curve from an earlier high."""
    sharpe: float | None
    turnover: str
    curve: list[str]
    """P&L after fees at each of `times`."""


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same recording and parameters give the same result, to the last digit."""

    strategies: list[dict[str, object]]
    events: int
    first_event: int
    last_event: int
    """Event times, ns."""
    orders: int
    orders_sha256: str
    """Of the canonical order log, as `replay` has it."""
    cancels: int
    denied: dict[str, int]
    """Reason code → orders."""
    submitted: int
    ended: dict[str, int]
    """Last status → orders that ended at the venue."""
    fills: int
    fill_ratio: float | None
    """Orders with a fill, of those submitted."""
    halted: list[str]
    """Strategies that raised, with the reason."""
    sample_seconds: float
    sharpe_convention: str = SHARPE
    times: list[int]
    """Of the curves, event time in ns."""
    currencies: dict[str, CurrencyResult]
    books: list[BookResult]


def sharpe(curve: Sequence[Decimal], sample_seconds: float) -> float | None:
    """See SHARPE."""
    changes = [float(after - before) for before, after in itertools.pairwise(curve)]
    if len(changes) < 2:
        return None
    mean = math.fsum(changes) / len(changes)
    spread = math.sqrt(math.fsum((change - mean) ** 2 for change in changes) / (len(changes) - 1))
    return round(mean / spread * math.sqrt(YEAR / sample_seconds), 6) if spread else None


def drawdowns(curve: Sequence[Decimal]) -> list[Decimal]:
    """How far each point is below the highest before it (and the start, 0)."""
    highest, found = Decimal(0), []
    for value in curve:
        highest = max(highest, value)
        found.append(highest - value)
    return found


def currency_result(curve: Sequence[Decimal], turnover: Decimal, sample_seconds: float) -> CurrencyResult:
    return CurrencyResult(
        pnl=text(curve[-1]) if curve else "0",
        max_drawdown=text(max(drawdowns(curve), default=Decimal(0))),
        sharpe=sharpe(curve, sample_seconds),
        turnover=text(turnover),
        curve=[text(value) for value in curve],
    )
