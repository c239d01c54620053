"""`tradeflow record`: ranges of topics, or frames of an exchange, into a file."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import click
from aiokafka.errors import KafkaError

from tradeflow.agreement import difference, group_terms
from tradeflow.kafka_reader import KafkaReader, NoTopicError
from tradeflow.kafka_security import client_options
from tradeflow.partitions import PartitionMapError, load_maps
from tradeflow.recording.form import Header, RecordingError, version
from tradeflow.recording.setup import describe
from tradeflow.recording.topics import CAUSED, Capture, Start, last_terms
from tradeflow.recording.writer import RecordingWriter
from tradeflow.settings import Settings, SettingsError, load_settings
from tradeflow.strategies import StrategyError, load_strategies
from tradeflow.times import TimeError, parse_time
from tradeflow.topics import MARKET_EVENTS
from tradeflow.trading_setup import TradingSetup, read_trading


def say(text: str) -> None:
    click.echo(text, err=True)


def cli_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a verb: what an operator can mend is told without a traceback."""

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TimeError as error:
            raise click.UsageError(str(error)) from None
        except (RecordingError, SettingsError, PartitionMapError, StrategyError, NoTopicError) as error:
            raise click.ClickException(str(error)) from None
        except KafkaError as error:
            raise click.ClickException(
                f"no answer of Kafka ({error!r}): start it, or correct KAFKA_BROKERS"
            ) from None

    return told


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


def _names(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


@click.command("record")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--topics",
    "names",
    default=",".join([MARKET_EVENTS, *sorted(CAUSED)]),
    show_default=True,
    callback=_names,
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
    callback=_names,
    help="Of the exchange, comma separated; default: all in its map.",
)
@cli_errors
def record_command(
    file: Path,
    names: list[str],
    start: str | None,
    stop: str | None,
    follow: bool,
    seconds: float | None,
    exchange: str | None,
    symbols: list[str],
) -> None:
    """Record ranges of topics, or an exchange's frames, to FILE."""
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
