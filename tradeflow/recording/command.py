"""`tradeflow record`: ranges of topics, or frames of an exchange, into a file."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import click

from tradeflow.cluster.reader import KafkaReader
from tradeflow.cluster.security import client_options
from tradeflow.commands.verb import comma_list, json_option, say_json, verb
from tradeflow.partitions import load_maps
from tradeflow.recording.form import Header, version
from tradeflow.recording.setup import describe
from tradeflow.recording.topics import CAUSED, Capture, Start, last_terms
from tradeflow.recording.writer import RecordingWriter
from tradeflow.settings import Settings, load_settings
from tradeflow.strategies import load_strategies
from tradeflow.times import parse_time
from tradeflow.topics import MARKET_EVENTS
from tradeflow.worker.agreement import difference, group_terms
from tradeflow.worker.trading_setup import TradingSetup, read_trading


def say(text: str) -> None:
    click.echo(text, err=True)


def parse_start(text: str) -> Start:
    """What --from says.  Raises TimeError."""
    if text in ("beginning", "now"):
        return Start(now=text == "now")
    if text.isascii() and text.isdecimal() and len(text) < 16:
        return Start(offset=int(text))
    return Start(time=parse_time(text))


@contextlib.asynccontextmanager
async def kafka_capture(
    config: Settings, names: list[str], start: Start
) -> AsyncIterator[tuple[Header, Capture]]:
    """A capture of these topics that has found its beginning, and the header that goes with it."""
    maps = load_maps(config.partition_maps)
    books = maps.books(config.exchanges, config.symbols)
    strategies = load_strategies(config.strategies, maps, config.strategies_file)
    trading = read_trading(config)
    terms = group_terms(books, strategies) | TradingSetup(trading, maps.symbols, books, strategies).terms()
    groups = (config.app_id, f"{config.app_id}-strategies")
    async with KafkaReader(client_options(config)) as reader:
        kinds = {term.split()[0] for term in terms}  # what a group reads is no matter of the recording
        for group, agreed in (await last_terms(reader)).items():
            theirs = {term: value for term, value in agreed.items() if term.split()[0] in kinds}
            if group in groups and (differs := difference(terms, theirs)):
                say(
                    f"the workers of {group} run with other terms than this directory and environment: {differs}"
                )
        capture = Capture(reader, names, groups)
        first = await capture.begin(start)
        yield (
            describe(
                config,
                strategies,
                trading,
                books,
                maps.symbols,
                tradeflow=version(),
                holds="topics",
                created=time.time_ns(),
                first=first,
            ),
            capture,
        )


@verb(
    "record",
    "tradeflow record run.rec                                # what Kafka holds",
    "tradeflow record run.rec --follow --seconds 600         # from now on",
    "tradeflow record frames.rec --exchange kraken --symbols BTC-USD --seconds 60",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--topics",
    "names",
    default=",".join([MARKET_EVENTS, *sorted(CAUSED)]),
    show_default=True,
    callback=comma_list,
    help="Of Kafka, comma separated.",
)
@click.option(
    "--from",
    "start",
    help="`beginning`, `now` (with the state of the workers' last checkpoint), a time or an offset; default: "
    "beginning, with --follow now.",
)
@click.option("--to", "stop", help="Up to a time; default: what is there now.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or --seconds.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="How long to follow, or to record frames.")
@click.option("--exchange", help="Frames of this exchange instead of topics, from its own endpoint.")
@click.option(
    "--symbols",
    default="",
    callback=comma_list,
    help="Of the exchange, comma separated; default: all in its map.",
)
@json_option
def record_command(
    file: Path,
    names: list[str],
    start: str | None,
    stop: str | None,
    follow: bool,
    seconds: float | None,
    exchange: str | None,
    symbols: list[str],
    as_json: bool,
) -> None:
    """Record topics, or frames of an exchange.

    Ranges of topics into FILE, which `replay` and `backtest` read; or what an exchange's WebSockets and REST answer,
    which `simulate --recordings` plays."""
    if follow and stop:
        raise click.UsageError("--follow and --to exclude each other: --seconds ends it")
    if seconds and not (follow or exchange):
        raise click.UsageError("--seconds goes with --follow or --exchange")
    config = load_settings()
    if file.exists():
        raise click.ClickException(f"{file} exists: remove it, or name another")
    if exchange:
        from tradeflow.recording.frames import record_frames

        work = record_frames(config, file, exchange, symbols, _until(seconds))
    else:
        begin = parse_start(start or ("now" if follow else "beginning"))
        until = parse_time(stop) if stop else None
        work = record_topics(config, file, names, begin, until, _until(seconds) if follow else None)
    records, settled = asyncio.run(work)
    if as_json:
        size = file.stat().st_size
        say_json({"file": str(file), "records": records, "bytes": size, "settled": settled})
    else:
        click.echo(f"{records:,} records in {file}, {file.stat().st_size:,} bytes")
    if not settled:
        say(
            "workers were not through with the log's last records: start them, or a replay leaves the last orders "
            "uncompared"
        )


def _until(seconds: float | None) -> Callable[[], bool]:
    """Whether to go on: until so long after the first time, or SIGINT or SIGTERM."""
    ended = False

    def end(*_: Any) -> None:
        nonlocal ended
        ended = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    deadline: float | None = None

    def go_on() -> bool:
        nonlocal deadline
        deadline = deadline or (time.monotonic() + seconds if seconds else None)
        return not ended and (deadline is None or time.monotonic() < deadline)

    return go_on


async def record_topics(
    config: Settings,
    file: Path,
    names: list[str],
    start: Start,
    until: int | None,
    follow: Callable[[], bool] | None,
) -> tuple[int, bool]:
    """How many records went into the file, and whether all that the log caused is among them."""
    async with kafka_capture(config, names, start) as (header, capture):
        with file.open("xb") as data, RecordingWriter(data, header) as writer:
            async for record in capture.records(until, follow):
                writer.write(record)
            writer.settled = capture.settled
        return writer.written, capture.settled
