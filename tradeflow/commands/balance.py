"""`tradeflow partition-map --balance`: a map by measured rates, and what it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tradeflow.balance import balance, partition_loads
from tradeflow.commands.verb import say_json
from tradeflow.partitions import PartitionMap, PartitionMapError, dump_map, load_map, load_maps
from tradeflow.settings import load_settings
from tradeflow.strategies import load_strategies
from tradeflow.symbols import SymbolError, canonical_symbol


def rebalance(file: Path, rates_file: Path, as_json: bool) -> None:
    """Write the map anew, and say which symbols have moved and how busy the busiest partition is.

    Symbols that a strategy of this deployment sees together stay together.  Raises PartitionMapError or StrategyError,
    and click.ClickException where the file can't be written."""
    known, rates, config = load_map(file), _read_rates(rates_file), load_settings()
    strategies = load_strategies(config.strategies, load_maps(config.partition_maps), config.strategies_file)
    balanced = balance(known, rates, [strategy.symbols for strategy in strategies])
    try:
        file.write_text(dump_map(balanced), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{file}: can't be written ({error.strerror}); name a file in a directory that is there and yours"
        ) from None
    moved = [symbol for symbol in known if balanced[symbol] != known[symbol]]
    before, after = (_busiest(map_, rates) for map_ in (known, balanced))
    if as_json:
        places = {symbol: balanced[symbol] for symbol in moved}
        say_json({"file": str(file), "moved": places, "busiest_before": before, "busiest_after": after})
        return
    for symbol in moved:
        click.echo(f"{symbol}: partition {known[symbol]} → {balanced[symbol]}")
    share = f"{len(moved)} of {len(known)} symbols moved"
    click.echo(f"{file}: {share}; busiest partition, to the mean: {before} → {after}")


def _busiest(map_: PartitionMap, rates: dict[str, float]) -> str:
    loads = partition_loads(map_, rates)
    return f"{max(loads) * len(loads) / sum(loads):.2f}" if sum(loads) else "1.00"


def _read_rates(file: Path) -> dict[str, float]:
    """Raises PartitionMapError, with what to mend."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PartitionMapError(f"{file}: can't be read ({error.strerror}); check that it is there") from None
    except ValueError as error:
        raise PartitionMapError(f"{file}: is not JSON ({error}); correct it there") from None
    if not isinstance(found, dict):
        raise PartitionMapError(f'{file}: must be one object such as {{"BTC-USDT": 812.5, "ETH-USDT": 640}}')
    try:
        return {canonical_symbol(name): rate for name, rate in found.items()}
    except SymbolError as error:
        raise PartitionMapError(f"{file}: {error}") from None
