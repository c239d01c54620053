"""What a market has done, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeflow.market.run import Run
    from tradeflow.market.served import ServedBook


@dataclass(slots=True)
class Counts:
    """Of one book since this process took the partition; not part of any checkpoint."""

    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    duplicates: int = 0
    gaps: int = 0


def count(books: Mapping[tuple[str, str], ServedBook], ignored: int, runs: Sequence[Run]) -> dict[str, Any]:
    """Of a whole market, JSON-able: by exchange what came, by strategy its orders, and who is halted."""
    totals: dict[str, Any] = {name: Counter() for name in ("snapshots", "deltas", "trades")}
    totals |= {"duplicates": 0, "gaps": 0, "ignored": ignored}
    for (exchange, _), served in books.items():
        for name in ("snapshots", "deltas", "trades"):
            totals[name][exchange] += getattr(served.counts, name)
        totals["duplicates"] += served.counts.duplicates
        totals["gaps"] += served.counts.gaps
    orders = Counter[str]()
    for run in runs:
        orders[run.strategy.name] += run.orders
    halted = [
        {"strategy": run.strategy.name, "symbols": run.symbols, "reason": run.halted}
        for run in runs
        if run.halted
    ]
    return totals | {"orders": orders, "halted": halted}
