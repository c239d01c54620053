"""Small verbs that need neither the app nor a broker."""

from __future__ import annotations

import json
from pathlib import Path

import click
from pydantic import SecretStr

from tradeflow.balance_command import rebalance
from tradeflow.masking import masked
from tradeflow.partitions import PartitionMapError, dump_map, extend, load_map
from tradeflow.settings import Settings, SettingsError, environment_name, load_settings
from tradeflow.symbols import SymbolError, canonical_symbol


@click.command("show-config")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show_config_command(as_json: bool) -> None:
    """Every setting with its value; secrets are masked."""
    try:
        config = load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    shown = {}
    for field in Settings.model_fields:
        value = getattr(config, field)
        if isinstance(value, SecretStr):
            value = "***"
        shown[environment_name(field)] = masked(value) if isinstance(value, str) else value
    if as_json:
        click.echo(json.dumps(shown, default=str, indent=2))
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        text = ",".join(value) if isinstance(value, list) else ("" if value is None else str(value))
        click.echo(f"{name:<{width}}  {text}")


@click.command("partition-map")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("symbols", nargs=-1)
@click.option(
    "--partitions", type=click.IntRange(1, 10_000), help="Partitions of a new map; default: one a symbol."
)
@click.option(
    "--balance",
    "rates",
    metavar="RATES",
    type=click.Path(path_type=Path, dir_okay=False),
    help='Instead: move symbols until partitions have like loads, by measured rates, {"BTC-USDT": 812.5, …}.',
)
def partition_map_command(
    file: Path, symbols: tuple[str, ...], partitions: int | None, rates: Path | None
) -> None:
    """Make a partition map, or extend one without moving the symbols that are in it.

    FILE is e.g. partition_maps/binance.json; an existing map keeps its number of partitions."""
    if rates:
        rebalance(file, rates)
        return
    if not symbols:
        raise click.UsageError("name at least one symbol, or --balance")
    try:
        known = load_map(file) if file.exists() else None
        extended = extend(known, [canonical_symbol(symbol) for symbol in symbols], partitions, str(file))
        file.write_text(dump_map(extended), encoding="utf-8")
    except (PartitionMapError, SymbolError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"{file}: can't be written ({error.strerror}); name a file in a directory that is there and yours"
        ) from None
    added = [symbol for symbol in extended if known is None or symbol not in known]
    for symbol in added:
        click.echo(f"{symbol}: partition {extended[symbol]}")
    click.echo(f"{file}: {len(added)} symbols added, {extended.count} partitions")
