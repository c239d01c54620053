"""`tradeflow replay`: a recording, or the log as Kafka holds it, through the Market again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from tradeflow.commands.verb import json_option, say_json, verb
from tradeflow.recording import Header, RecordingError, RecordingReader
from tradeflow.recording.command import kafka_capture, parse_start, say
from tradeflow.recording.setup import new_market, recorded_strategies, trading_of
from tradeflow.recording.topics import CAUSED, Start
from tradeflow.replay.comparison import Verdict
from tradeflow.replay.replay import Replay
from tradeflow.settings import load_settings
from tradeflow.times import parse_time, show_time
from tradeflow.topics import MARKET_EVENTS


@verb(
    "replay",
    "tradeflow replay run.rec",
    "tradeflow replay --from 2026-01-31T12:00:00Z    # what Kafka holds",
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "start", help="Of Kafka instead of a FILE: a time, `beginning` or an offset.")
@click.option("--to", "stop", help="Up to a time; default: what is there now.")
@json_option
def replay_command(file: Path | None, start: str | None, stop: str | None, as_json: bool) -> None:
    """Replay a recorded log: the same orders?

    The same strategies once more on FILE, or on what Kafka holds; their orders and the gate's verdicts are compared
    with those that were recorded. Ends with status 1 if any of them differs."""
    if (file is None) == (start is None):
        raise click.UsageError("name a FILE, or --from and --to for what Kafka holds")
    began = time.perf_counter()
    if file is not None:
        replay, settled = replay_file(file)
    else:
        until = parse_time(stop) if stop else None
        replay, settled = asyncio.run(_replay_kafka(parse_start(start or ""), until))
    orders, verdicts = replay.finish(settled)
    if as_json:
        say_json(
            {
                "events": replay.events,
                "partitions": len(replay.markets),
                "unusable": replay.unusable,
                "unknown_partitions": replay.unknown,
                "settled": settled,
                "orders": {"same": orders.same, **msgspec.structs.asdict(orders)},
                "verdicts": {"same": verdicts.same, **msgspec.structs.asdict(verdicts)},
            }
        )
    else:
        _report(replay, orders, verdicts, settled, time.perf_counter() - began)
    if not (orders.same and verdicts.same):
        raise SystemExit(1)


def new_replay(header: Header) -> Replay:
    """Raises RecordingError for a header that no replay can be made of."""
    if header.holds != "topics" or MARKET_EVENTS not in header.first:
        raise RecordingError(
            f"it holds {header.holds} and no {MARKET_EVENTS}: record those, and orders and executions"
        )
    strategies = recorded_strategies(header, say)
    trading = trading_of(header, strategies)
    return Replay(header, lambda partition: new_market(header, partition, strategies, trading))


def replay_file(file: Path) -> tuple[Replay, bool]:
    """A replay that has applied a whole file, and whether all that its log caused was recorded."""
    with file.open("rb") as data:
        reader = RecordingReader(data, str(file))
        replay = new_replay(reader.header)
        for block in reader.blocks():
            replay.apply(block)
    if reader.cut_off:
        say(reader.cut_off)
    return replay, bool(reader.ending and reader.ending.settled)


async def _replay_kafka(start: Start, until: int | None) -> tuple[Replay, bool]:
    async with kafka_capture(load_settings(), [MARKET_EVENTS, *sorted(CAUSED)], start) as (header, capture):
        replay = new_replay(header)
        async for record in capture.records(until):
            replay.apply((record,))
        return replay, capture.settled


def _report(replay: Replay, orders: Verdict, verdicts: Verdict, settled: bool, seconds: float) -> None:
    times = [market.event_time for market in replay.markets.values() if market.event_time]
    click.echo(
        f"{replay.events:,} events of {len(replay.markets)} partitions in {seconds:.1f} s"
        + (f", up to {show_time(max(times))}" if times else "")
    )
    if replay.unusable:
        click.echo(f"{replay.unusable} records that no worker can use (dead letters) were left out")
    if replay.unknown:
        click.echo(
            f"partitions {', '.join(map(str, replay.unknown))} begin in mid-stream, without a checkpoint: their books "
            "wait for their next snapshots, what their strategies knew is missing; their orders are not compared"
        )
    if not settled:
        click.echo(
            "workers were not through with the log when it was recorded: later orders are not compared"
        )
    for name, verdict in (("orders", orders), ("verdicts", verdicts)):
        for line in _lines(name, verdict):
            click.echo(line)


def _lines(name: str, verdict: Verdict) -> Iterable[str]:
    parts = {
        "recorded": verdict.recorded,
        "replayed": verdict.replayed,
        "identical": verdict.identical,
        "changed": verdict.changed,
        "missing": verdict.missing,
        "extra": verdict.extra,
        "recorded with two contents": verdict.conflicting,
        "not compared": verdict.not_compared,
    }
    always = ("recorded", "replayed", "identical")
    yield f"{name}: " + ", ".join(f"{n:,} {what}" for what, n in parts.items() if n or what in always)
    if verdict.same:
        yield f"{name}: identical, SHA-256 {verdict.sha256_recorded}"
    else:
        yield f"{name}: recorded SHA-256 {verdict.sha256_recorded}"
        yield f"{name}: replayed SHA-256 {verdict.sha256_replayed}"
        yield (
            f"first difference: {verdict.first}" if verdict.first else "some were recorded with two contents"
        )
