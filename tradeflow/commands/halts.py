"""`tradeflow halt` and `resume`: operators' words on orders."""

from __future__ import annotations

import asyncio
import getpass
import socket

import click

from tradeflow.cluster.security import client_options
from tradeflow.commands.completion import complete_symbols
from tradeflow.commands.verb import json_option, say_json, verb
from tradeflow.partitions import load_maps
from tradeflow.settings import load_settings
from tradeflow.strategies import load_strategies
from tradeflow.worker.operators import Word, say, steer_for

_strategy = click.option("--strategy", default="", help="Only this one's orders.")
_agent = click.option("--agent", default="", help="Only this plain agent's orders.")
_symbol = click.option(
    "--symbol", default="", shell_complete=complete_symbols, help="Only orders for this symbol."
)
reason_option = click.option("--reason", default="", help="For whoever reads a denial.")


@verb(
    "halt",
    'tradeflow halt --reason "odd prices"                     # everything',
    "tradeflow halt --strategy imbalance --symbol BTC-USDT    # one on one symbol",
    "tradeflow halt --symbol ETH-USDT --reduce-only           # only out of it",
)
@_strategy
@_agent
@_symbol
@reason_option
@click.option(
    "--reduce-only", is_flag=True, help="Let orders pass that make a position smaller; cancel nothing."
)
@json_option
def halt_command(
    strategy: str, agent: str, symbol: str, reason: str, reduce_only: bool, as_json: bool
) -> None:
    """Let no new order pass; cancel what is open.

    Of everything, of a strategy, of a symbol, or of both. In force on every worker within a second, and until it is
    resumed: also after a restart."""
    word = Word(strategy=strategy, agent=agent, symbol=symbol, reason=reason)
    send_word("reduce-only" if reduce_only else "halt", word, as_json)


@verb("resume", "tradeflow resume", "tradeflow resume --symbol ETH-USDT    # lifts what was said of it alone")
@_strategy
@_agent
@_symbol
@reason_option
@json_option
def resume_command(strategy: str, agent: str, symbol: str, reason: str, as_json: bool) -> None:
    """Lift a halt.

    Of exactly that scope. A named strategy that is halted for an error may try again."""
    send_word("resume", Word(strategy=strategy, agent=agent, symbol=symbol, reason=reason), as_json)


def send_word(action: str, word: Word, as_json: bool) -> None:
    """Into `control`.  Raises what reading the settings, maps and strategies does, WordError, and Kafka's errors."""
    config = load_settings()
    maps = load_maps(config.partition_maps)
    strategies = load_strategies(config.strategies, maps, config.strategies_file)
    books = maps.books(config.exchanges, config.symbols)
    steer = steer_for(action, word, f"{getpass.getuser()}@{socket.gethostname()}", strategies, books)
    offset = asyncio.run(say(client_options(config), steer))
    if as_json:
        say_json({"said": action, "strategy": steer.strategy, "symbol": steer.symbol, "offset": offset})
        return
    scope = " on ".join(filter(None, (steer.strategy, steer.symbol))) or "everything"
    click.echo(f"{action}: {scope} (control@{offset}); in force on every worker within a second")
