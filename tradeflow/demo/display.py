"""The terminal's live table of books, and the summary at the end."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

STATE_STYLES = {"live": "green", "syncing": "yellow", "stale": "red", "broken": "bold red"}


NOT_LIVE = "bold reverse"
"""On top of the state's own style: it must not be overlooked."""


def books_table(books: list[dict[str, Any]]) -> Table:
    """One row a book: state, top, mid, spread, age; and why those that aren't live are not."""
    reasons = any(book["state"] != "live" for book in books)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("exchange", "left"),
        ("symbol", "left"),
        ("state", "left"),
        ("bid", "right"),
        ("ask", "right"),
        ("mid", "right"),
        ("spread", "right"),
        ("spread %", "right"),
        ("age", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    if reasons:
        table.add_column("why", overflow="ellipsis", no_wrap=True)
    for book in books:
        state = str(book["state"])
        live = state == "live"
        bid, ask = book.get("bid"), book.get("ask")
        age = book.get("age_ms")
        table.add_row(
            book["exchange"],
            book["symbol"],
            Text(
                state if live else state.upper(),
                style=f"{STATE_STYLES.get(state, '')} {'' if live else NOT_LIVE}".strip(),
            ),
            *(
                Text(value or "–", style="" if live else "dim")
                for value in (
                    bid[0] if bid else None,
                    ask[0] if ask else None,
                    book.get("mid"),
                    book.get("spread"),
                    book.get("spread_pct"),
                )
            ),
            "–" if age is None else f"{max(0.0, age) / 1000:.1f} s",
            *([Text(str(book.get("reason", "")))] if reasons else []),
        )
    return table


def screen(
    books: list[dict[str, Any]],
    stats: dict[str, Any] | None,
    runs: list[dict[str, Any]],
    web_url: str,
    remaining: float | None,
) -> Group:
    """What the live terminal shows."""
    lines: list[RenderableType] = [books_table(books), Text()]
    if stats:
        latency = stats["latency_ms"]
        orders = ", ".join(f"{name} {count}" for name, count in sorted(stats["orders"].items())) or "none yet"
        p50 = "–" if latency["p50"] is None else f"{latency['p50']:.1f} ms (p50)"
        lines.append(Text(f"orders: {orders}    raw → order: {p50}"))
        lines.append(Text(f"executions: {_by_status(stats)}    P&L after fees: {_profit(runs)}"))
    ends = "Ctrl-C ends everything" if remaining is None else f"ends in {max(0.0, remaining):.0f} s"
    pages = "/books  /orders  /positions  /strategies  /feeds"
    lines.append(Text(f"dashboard: {web_url}/    in JSON: {pages}    {ends}", style="dim"))
    return Group(*lines)


def _by_status(stats: dict[str, Any]) -> str:
    counts = sorted(stats["executions"].items(), key=lambda one: -one[1])
    return ", ".join(f"{count} {status}" for status, count in counts) or "none yet"


def _profit(runs: list[dict[str, Any]]) -> str:
    """Of all strategies, by currency, to the cent."""
    sums: dict[str, Decimal] = {}
    for run in runs:
        for currency, amount in run["pnl"].items():
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount)
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items())) or "–"


class Summary:
    """What a timed run has shown; `problems` is empty only if every book is live and nothing went wrong."""

    def __init__(
        self,
        books: list[dict[str, Any]],
        stats: dict[str, Any],
        feeds: list[dict[str, Any]],
        runs: list[dict[str, Any]],
        errors: list[str],
    ) -> None:
        self.books, self.stats, self.feeds, self.runs = books, stats, feeds, runs
        self.states = Counter(str(book["state"]) for book in books)
        self.counts: dict[str, Counter[str]] = {"deltas": Counter(), "trades": Counter()}
        for market in stats["markets"].values():
            for kind, counter in self.counts.items():
                counter.update(market.get(kind, {}))
        self.problems = [
            f"{b['exchange']}/{b['symbol']} is {b['state']}: {b.get('reason', '')}"
            for b in books
            if b["state"] != "live"
        ]
        self.problems += errors
        if stats["dead_letters"]:
            self.problems.append(f"{stats['dead_letters']} dead letters")
        if stats["conflicting_orders"]:
            self.problems.append(f"{stats['conflicting_orders']} orders came again with another content")
        for partition, market in stats["markets"].items():
            self.problems += [f"partition {partition}: {halted}" for halted in market.get("halted", [])]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "books": self.states,
            **self.counts,
            "latency_ms": self.stats["latency_ms"],
            "orders": self.stats["orders"],
            "executions": self.stats["executions"],
            "feeds": len(self.feeds),
            "reconnects": sum(feed["reconnects"] for feed in self.feeds),
            "errors": self.problems,
        }

    def render(self, seconds: float) -> Table:
        latency = self.stats["latency_ms"]
        deltas = sum(self.counts["deltas"].values())
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        table.add_row("books", ", ".join(f"{count} {state}" for state, count in sorted(self.states.items())))
        for kind, counter in self.counts.items():
            table.add_row(
                kind, ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items())) or "none"
            )
        table.add_row("deltas/s", f"{deltas / max(seconds, 0.001):,.0f}")
        table.add_row(
            "raw → order",
            "no orders"
            if latency["p50"] is None
            else f"p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms, of {latency['count']} orders"
            " that a book or trade caused",
        )
        orders = sorted(self.stats["orders"].items())
        table.add_row("orders", ", ".join(f"{name} {count}" for name, count in orders) or "none")
        table.add_row("executions", _by_status(self.stats))
        table.add_row("P&L after fees", _profit(self.runs))
        reconnects = sum(feed["reconnects"] for feed in self.feeds)
        table.add_row("feeds", f"{len(self.feeds)}, {reconnects} reconnects")
        problems = "\n".join(self.problems[:20])
        table.add_row("errors", Text(problems, style="red") if problems else Text("none", style="green"))
        return table
