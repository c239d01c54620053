"""`tradeflow halt`, `resume` and `strategies`: what operators say of orders, and what strategies do."""

from __future__ import annotations

import asyncio
import getpass
import json
import socket
from typing import Any

import click
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from tradeflow.demo.stack import get
from tradeflow.kafka_security import client_options, why_not
from tradeflow.operators import Word, WordError, say, steer_for
from tradeflow.partitions import PartitionMapError, load_maps
from tradeflow.settings import SettingsError, load_settings
from tradeflow.strategies import StrategyError, load_strategies

_strategy = click.option("--strategy", default="", help="Only this one's orders.")
_symbol = click.option("--symbol", default="", help="Only orders for this symbol.")
_reason = click.option("--reason", default="", help="For whoever reads a denial.")


@click.command("halt")
@_strategy
@_symbol
@_reason
@click.option(
    "--reduce-only", is_flag=True, help="Let orders pass that make a position smaller; cancel nothing."
)
def halt_command(strategy: str, symbol: str, reason: str, reduce_only: bool) -> None:
    """Let no new order pass, and cancel what is open: of everything, or of a strategy, a symbol, or both.

    In force on every worker within a second, and until it is resumed: also after a restart."""
    _say("reduce-only" if reduce_only else "halt", Word(strategy, symbol, reason))


@click.command("resume")
@_strategy
@_symbol
@_reason
def resume_command(strategy: str, symbol: str, reason: str) -> None:
    """Lift what was said of exactly that scope.  A named strategy that is halted for an error may try again."""
    _say("resume", Word(strategy, symbol, reason))


@click.group("strategies", invoke_without_command=True)
@click.option("--url", help="Of a worker's web views; default: TRADEFLOW_WEB_HOST and _PORT.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def strategies_command(context: click.Context, url: str | None, as_json: bool) -> None:
    """List the strategies on each symbol: parameters, orders, profit and loss after fees, lag, halts."""
    if context.invoked_subcommand is not None:
        return
    try:
        config = load_settings()
        url = url or f"http://{config.web_host}:{config.web_port}"
        answer = get(f"{url}/strategies?limit=10000")
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"no worker answers at {url} ({error}): start one, or name its --url"
        ) from None
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    Console(highlight=False).print(_table(answer["strategies"]))
    for worker in answer["silent_workers"]:
        click.echo(f"{worker} doesn't answer: its strategies are missing here", err=True)


@strategies_command.command("set")
@click.argument("strategy")
@click.argument("parameters", nargs=-1, required=True, metavar="NAME=VALUE…")
@_reason
def set_command(strategy: str, parameters: tuple[str, ...], reason: str) -> None:
    """Change parameters of STRATEGY while it runs, on all its symbols; its state stays.

    Until its section in strategies.toml changes, restarts keep them."""
    pairs = [text.partition("=") for text in parameters]
    if not all(separator for _, separator, _ in pairs):
        raise click.UsageError("write each parameter as NAME=VALUE")
    _say("parameters", Word(strategy, "", reason, {name.strip(): value for name, _, value in pairs}))


def _say(action: str, word: Word) -> None:
    try:
        config = load_settings()
        maps = load_maps(config.partition_maps)
        strategies = load_strategies(config.strategies, maps, config.strategies_file)
        books = maps.books(config.exchanges, config.symbols)
        steer = steer_for(action, word, f"{getpass.getuser()}@{socket.gethostname()}", strategies, books)
        options = client_options(config)
    except (SettingsError, PartitionMapError, StrategyError, WordError) as error:
        raise click.ClickException(str(error)) from None
    try:
        offset = asyncio.run(say(options, steer))
    except (KafkaError, OSError) as error:
        reason = asyncio.run(why_not(options)) or error
        raise click.ClickException(f"no Kafka at {options['bootstrap_servers']}: {reason}") from None
    scope = " on ".join(filter(None, (steer.strategy, steer.symbol))) or "everything"
    click.echo(f"{action}: {scope} (control@{offset}); in force on every worker within a second")


def _table(runs: list[dict[str, Any]]) -> Table:
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
            str(run["orders"]),
            str(run["open_orders"]),
            ", ".join(f"{float(amount):,.2f} {currency}" for currency, amount in run["pnl"].items()) or "–",
            "–" if run["lag_ms"] is None else f"{max(0.0, run['lag_ms']) / 1000:.1f} s",
            run["halted"] or run["steered"] or ("shadow" if run["shadow"] else "runs"),
        )
    return table
