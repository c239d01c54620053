"""`tradeflow strategies`: what runs, and other parameters for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from rich.table import Table

from tradeflow.commands.verb import VerbGroup, json_option, say_json, terminal
from tradeflow.commands.worker import ask_all, tell_silent, url_option, worker_url


@click.group(
    "strategies",
    cls=VerbGroup,
    invoke_without_command=True,
    examples=(
        "tradeflow strategies",
        "tradeflow strategies --json --url http://worker-2:6066",
        "tradeflow strategies set imbalance enter=0.7",
    ),
)
@url_option
@json_option
@click.pass_context
def strategies_command(context: click.Context, url: str | None, as_json: bool) -> None:
    """List what runs, or change its parameters.

    Each strategy on each symbol: parameters, orders, profit and loss after fees, lag, halts. All workers' of the group,
    whichever is asked."""
    if context.invoked_subcommand is not None:
        return
    answer = ask_all(worker_url(url), "/strategies", "strategies")
    if as_json:
        say_json(answer)
    else:
        terminal().print(_table(answer["strategies"], answer["totals"]))
    tell_silent(answer, "strategies")


@strategies_command.command("set", examples=('tradeflow strategies set imbalance enter=0.7 --reason "less"',))
@click.argument("strategy")
@click.argument("parameters", nargs=-1, required=True, metavar="NAME=VALUE…")
@click.option("--reason", default="", help="For whoever looks at it later.")
@json_option
def set_command(strategy: str, parameters: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Change parameters of STRATEGY while it runs.

    On all its symbols; its state stays. Until its section in strategies.toml changes, restarts keep them."""
    from tradeflow.commands.halts import send_word
    from tradeflow.worker.operators import Word

    pairs = [text.partition("=") for text in parameters]
    if not all(separator for _, separator, _ in pairs):
        raise click.UsageError("write each parameter as NAME=VALUE")
    given = {name.strip(): value for name, _, value in pairs}
    send_word("parameters", Word(strategy=strategy, reason=reason, parameters=given), as_json)


def _table(runs: list[dict[str, Any]], totals: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("strategy", "symbols", "parameters"):
        table.add_column(name)
    for name in ("orders", "open", "P&L after fees", "lag"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state")
    for run in runs:
        shown = {name: value for name, value in run["parameters"].items() if name != "symbols"}
        table.add_row(
            run["strategy"],
            ", ".join(run["symbols"]),
            " ".join(f"{name}={value}" for name, value in shown.items()),
            *_figures(run),
            run["halted"] or run["steered"] or ("shadow" if run["shadow"] else "runs"),
        )
    table.add_section()
    for total in totals:
        table.add_row(
            total["strategy"], f"all {len(total['symbols'])}", "", *_figures(total), "", style="bold"
        )
    return table


def _figures(one: dict[str, Any]) -> tuple[str, str, str, str]:
    return (
        f"{one['orders']:,}",
        str(one["open_orders"]),
        ", ".join(f"{Decimal(amount):,.2f} {currency}" for currency, amount in one["pnl"].items()) or "–",
        "–" if one["lag_ms"] is None else f"{max(0.0, one['lag_ms']) / 1000:.1f} s",
    )
