"""`tradeflow completion`: what shells complete, and what they are told of symbols, books and topics."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradeflow.commands.verb import verb

if TYPE_CHECKING:
    from tradeflow.partitions import PartitionMaps

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TRADEFLOW_COMPLETE"


@verb(
    "completion",
    'eval "$(tradeflow completion bash)"      # for ever: in ~/.bashrc',
    'eval "$(tradeflow completion zsh)"       # for ever: in ~/.zshrc, below compinit',
    "tradeflow completion fish > ~/.config/fish/completions/tradeflow.fish",
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion_command(shell: str | None) -> None:
    """Print the completion of bash, zsh or fish.

    Of verbs, their options, symbols, books and topics. SHELL: by default the one that $SHELL names."""
    from click.shell_completion import get_completion_class

    from tradeflow.cli import root

    name = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(name) if name in SHELLS else None
    if found is None:
        raise click.UsageError(f"$SHELL is {name!r}: name one of {', '.join(SHELLS)}")
    # Fish would cut the words behind a completion at their first comma.
    source = found(root, {}, "tradeflow", VARIABLE).source()
    click.echo(source.replace('string split ","', 'string split --max 1 ","'))


def complete_symbols(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Of a symbol's beginning, in any case."""
    maps = _maps()
    return _beginning(maps.symbols if maps else (), incomplete)


def complete_books(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Symbols, exchanges, and exchange/symbol once a slash is there."""
    maps = _maps()
    if maps is None:
        return []
    if "/" in incomplete:
        return _beginning([f"{exchange}/{symbol}" for exchange, symbol in maps.books()], incomplete)
    return _beginning([*maps.symbols, *maps.exchanges], incomplete)


def complete_topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Of those that are declared."""
    from tradeflow.topics import topic_specs

    maps = _maps()
    return _beginning([spec.name for spec in topic_specs(maps)] if maps else (), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def _maps() -> PartitionMaps | None:
    """None where they can't be read: a shell has no use for the reason."""
    from tradeflow.partitions import PartitionMapError, load_maps
    from tradeflow.settings import SettingsError, load_settings

    with contextlib.suppress(SettingsError, PartitionMapError):
        return load_maps(load_settings().partition_maps)
    return None
