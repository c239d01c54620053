"""`tradeflow partition-map`: which symbol lives on which partition, written as a file."""

from __future__ import annotations

from pathlib import Path

import click

from tradeflow.commands.balance import rebalance
from tradeflow.commands.verb import json_option, say_json, verb
from tradeflow.partitions import dump_map, extend, load_map
from tradeflow.symbols import SymbolError, canonical_symbol


@verb(
    "partition-map",
    "tradeflow partition-map partition_maps/okx.json BTC-USDT ETH-USDT --partitions 2",
    "tradeflow partition-map partition_maps/okx.json SOL-USDT    # one more",
    "tradeflow partition-map partition_maps/symbols.json --balance rates.json",
)
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
@json_option
def partition_map_command(
    file: Path, symbols: tuple[str, ...], partitions: int | None, rates: Path | None, as_json: bool
) -> None:
    """Make a partition map, or extend one.

    The symbols that are in it stay where they are. FILE is e.g. partition_maps/binance.json; an existing map
    keeps its number of partitions."""
    if rates:
        rebalance(file, rates, as_json)
        return
    if not symbols:
        raise click.UsageError("name at least one symbol, or --balance")
    known = load_map(file) if file.exists() else None
    try:
        wanted = [canonical_symbol(symbol) for symbol in symbols]
    except SymbolError as error:
        raise click.UsageError(str(error)) from None
    count = partitions if known or partitions else len(set(wanted))
    extended = extend(known, wanted, count, str(file))
    try:
        file.write_text(dump_map(extended), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{file}: can't be written ({error.strerror}); name a file in a directory that is there and yours"
        ) from None
    added = [symbol for symbol in extended if known is None or symbol not in known]
    if as_json:
        say_json(
            {
                "file": str(file),
                "partitions": extended.count,
                "added": {name: extended[name] for name in added},
            }
        )
        return
    for symbol in added:
        click.echo(f"{symbol}: partition {extended[symbol]}")
    click.echo(f"{file}: {len(added)} symbols added, {extended.count} partitions")
