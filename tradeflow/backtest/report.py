"""A backtest's result on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from tradeflow.backtest.result import BacktestResult
from tradeflow.times import show_time

WIDTH = 150
"""Columns that a table may take, whatever the terminal has."""


def show(result: BacktestResult, console: Console) -> None:
    names = ", ".join(str(one["name"]) for one in result.strategies)
    console.print(
        f"{names} on {result.events:,} events, {show_time(result.first_event)} to {show_time(result.last_event)}"
    )
    console.print(
        f"orders {result.orders:,}, cancels {result.cancels:,}, denied {_counts(result.denied)}, "
        f"submitted {result.submitted:,}, of those {_counts(result.ended)}"
    )
    console.print(f"orders: SHA-256 {result.orders_sha256}")
    console.print(f"fills {result.fills:,}, fill ratio {_number(result.fill_ratio)}")
    for halted in result.halted:
        console.print(f"[red]halted: {halted}[/]", markup=True)
    table = _table("by currency")
    for name in ("currency", "P&L after fees", "max drawdown", "Sharpe", "turnover"):
        table.add_column(name, justify="left" if name == "currency" else "right")
    for currency, one in result.currencies.items():
        table.add_row(
            currency, _short(one.pnl), _short(one.max_drawdown), _number(one.sharpe), _short(one.turnover)
        )
    console.print(table)
    table = _table("by book")
    for name in (
        "exchange",
        "symbol",
        "position",
        "realized",
        "unrealized",
        "fees",
        "P&L",
        "fills",
        "turnover",
    ):
        table.add_column(name, justify="left" if name in ("exchange", "symbol") else "right")
    for book in result.books:
        fees = "\n".join(f"{_short(amount)} {currency}" for currency, amount in book.fees.items())
        amounts = (book.position, book.realized, book.unrealized)
        pnl = f"{_short(book.pnl)} {book.currency}"
        table.add_row(
            book.exchange,
            book.symbol,
            *map(_short, amounts),
            fees,
            pnl,
            f"{book.fills:,}",
            _short(book.turnover),
        )
    console.print(table)
    console.print(
        f"Sharpe: {result.sharpe_convention} (a sample each {result.sample_seconds:g} s)", style="dim"
    )


def show_sweep(rows: Sequence[tuple[Iterable[str], BacktestResult]], console: Console) -> None:
    """`rows`: (the values of the parameters, result)."""
    table = _table("sweep")
    table.add_column("parameters")
    for name in ("orders", "denied", "fills", "fill ratio"):
        table.add_column(name, justify="right")
    for name in ("P&L after fees", "max drawdown", "Sharpe"):
        table.add_column(name, justify="right")
    for values, result in rows:
        money = result.currencies.items()
        table.add_row(
            ", ".join(values),
            f"{result.orders:,}",
            f"{sum(result.denied.values()):,}",
            f"{result.fills:,}",
            _number(result.fill_ratio),
            "\n".join(f"{_short(one.pnl)} {currency}" for currency, one in money),
            "\n".join(_short(one.max_drawdown) for _, one in money),
            "\n".join(_number(one.sharpe) for _, one in money),
        )
    console.print(table)


def wide_console() -> Console:
    """Where the terminal is narrower it wraps lines; no number is cut off."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    return console


def _table(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", box=None, pad_edge=False, header_style="bold")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "0"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _short(amount: str) -> str:
    """At most 8 decimals; the JSON has them all."""
    whole, point, decimals = amount.partition(".")
    return f"{whole}.{decimals[:8]}".rstrip("0").rstrip(".") if point else whole
