"""A backtest's result on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from tradeflow.backtest.result import BacktestResult
from tradeflow.times import show_time


def show(result: BacktestResult, console: Console) -> None:
    names = ", ".join(str(one["name"]) for one in result.strategies)
    console.print(
        f"{names} on {result.events:,} events, {show_time(result.first_event)} to {show_time(result.last_event)}"
    )
    console.print(
        f"orders {result.orders:,} (SHA-256 {result.orders_sha256}), cancels {result.cancels:,}, "
        f"denied {_counts(result.denied)}, submitted {result.submitted:,}, of those {_counts(result.ended)}"
    )
    console.print(f"fills {result.fills:,}, fill ratio {_number(result.fill_ratio)}")
    for halted in result.halted:
        console.print(f"[red]halted: {halted}[/]", markup=True)
    table = Table(title="by currency", title_justify="left")
    for name in ("currency", "P&L after fees", "max drawdown", "Sharpe", "turnover"):
        table.add_column(name, justify="left" if name == "currency" else "right")
    for currency, one in result.currencies.items():
        table.add_row(
            currency, _short(one.pnl), _short(one.max_drawdown), _number(one.sharpe), _short(one.turnover)
        )
    console.print(table)
    table = Table(title="by book", title_justify="left")
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
        fees = ", ".join(f"{_short(amount)} {currency}" for currency, amount in book.fees.items())
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
    table = Table(title="sweep", title_justify="left")
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


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "0"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _short(amount: str) -> str:
    """At most 8 decimals; the JSON has them all."""
    whole, point, decimals = amount.partition(".")
    return f"{whole}.{decimals[:8]}".rstrip("0").rstrip(".") if point else whole
