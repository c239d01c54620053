"""The table of figures, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.faults.lab.oracle import Oracle
from tests.faults.lab.orders import Orders
from tests.faults.lab.trial import Line

Say = Callable[[str], None]

HEAD = """| fault | times | marked, at most | live again, at most | comparisons | wrong live books |
|---|---:|---:|---:|---:|---:|"""


def table(lines: Sequence[Line]) -> str:
    return "\n".join([HEAD, *map(_row, lines)])


def _row(line: Line) -> str:
    if line.missing:
        return f"| {line.name} | 0 | not tried: {line.missing} | | | |"
    cells = [
        line.name,
        str(len(line.to_live)),
        _worst(line.to_flag, line.flag_limit) if line.flag_limit is not None else "",
        _worst(line.to_live, line.live_limit),
        f"{line.comparisons:,}",
        str(line.bad),
    ]
    return f"| {' | '.join(cells)} |"


def _worst(values: Sequence[float | None], limit: float) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return f"**never** ({len(values) - len(known)} times)"
    worst = max(known)
    text = f"{worst:.2f} s of {limit:g}"
    return f"**{text}**" if worst > limit else text


def verdict(oracle: Oracle, orders: Orders) -> str:
    """What all of it comes to, in a line."""
    return (
        f"In {oracle.comparisons:,} comparisons at full depth: **{oracle.counts['wrong']} wrong live books**. Of"
        f" {orders.sent:,} orders: **{orders.lost} lost, {orders.conflicting} ids with different content**."
    )


def summary(oracle: Oracle, orders: Orders) -> str:
    counts = oracle.counts
    exchanges = ", ".join(f"{name} {count:,}" for name, count in sorted(oracle.by_exchange.items()))
    asked = sum(counts.values())
    return f"""| | |
|---|---:|
| answers sampled | {asked:,} in {oracle.seconds:,.0f} s: {asked / oracle.seconds:.0f} a second |
| live books compared with the exchange's, at full depth | {oracle.comparisons:,} ({exchanges}) |
| wrong live books | {counts["wrong"]} |
| live books that the exchange had left behind | {counts["old"]} |
| live, of a version that the simulator no longer holds (not counted as right) | {counts["forgotten"]} |
| live, of a snapshot that bears no time (not counted as right) | {counts["unplaced"]:,} |
| live, while the simulator had yet to answer (not counted as right) | {counts["unasked"]:,} |
| answers that said that the book isn't live | {counts["flagged"]:,} |
| no book: rebalancing, refused, no answer | {counts["unserved"]:,} |
| orders sent | {orders.sent:,} |
| lost orders | {orders.lost} |
| order ids with different content | {orders.conflicting} |
| orders that the log doesn't lead to, or of other content | {orders.unfounded + orders.wrong} |"""
