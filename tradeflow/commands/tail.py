"""`tradeflow tail`: a topic's records, decoded."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import click
from aiokafka import TopicPartition

from tradeflow.cluster.reader import KafkaReader
from tradeflow.cluster.security import client_options
from tradeflow.commands.completion import complete_topics
from tradeflow.commands.verb import json_option, verb
from tradeflow.recording.command import parse_start
from tradeflow.recording.form import Record
from tradeflow.recording.topics import Start
from tradeflow.settings import load_settings
from tradeflow.times import show_time

LAST = 10


@verb(
    "tail",
    "tradeflow tail orders                                  # the last ten",
    "tradeflow tail trades --key BTC-USDT --follow          # until Ctrl-C",
    "tradeflow tail market-events --from 2026-01-31T12:00:00Z --limit 100",
    "tradeflow tail top-of-book --json --follow | jq .value.mid",
)
@click.argument("topic", shell_complete=complete_topics)
@click.option(
    "--from",
    "start",
    help="`beginning`, `now`, a time or an offset; default: the last records, with --follow now.",
)
@click.option("--key", help="Only records with this key, e.g. a symbol.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"So many records; default: the last {LAST}, all with --from or --follow.",
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or --limit.")
@json_option
def tail_command(
    topic: str,
    start: str | None,
    key: str | None,
    partition: int | None,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show a topic's records, decoded.

    One a line: when the broker took it, partition@offset, key and value. With --json each line is an object; a value
    that isn't JSON is shown in base64 there."""
    begin = parse_start(start) if start else None
    wanted = None if key is None else key.encode()

    def matches(record: Record) -> bool:
        return (wanted is None or record.key == wanted) and partition in (None, record.partition)

    show = _as_json if as_json else _as_text
    try:
        asyncio.run(_tail(topic, begin, limit, follow, matches, lambda record: click.echo(show(record))))
    except KeyboardInterrupt:
        return


async def _tail(
    topic: str,
    start: Start | None,
    limit: int | None,
    follow: bool,
    matches: Callable[[Record], bool],
    show: Callable[[Record], None],
) -> None:
    async with KafkaReader(client_options(load_settings())) as reader:
        partitions = await reader.partitions([topic])
        ends = await reader.ends(partitions)
        if start is None and not follow:
            for record in await _last(reader, partitions, ends, limit or LAST, matches):
                show(record)
            return
        first = await _first(reader, partitions, ends, start or Start(now=True))
        shown = 0
        async for record in _records(reader, first, None if follow else ends):
            if matches(record):
                show(record)
                shown += 1
                if shown == limit:
                    return


async def _records(
    reader: KafkaReader, first: dict[TopicPartition, int], ends: dict[TopicPartition, int] | None
) -> AsyncIterator[Record]:
    """Up to the ends in the order of Kafka's time; without them for ever, as they come."""
    if ends is not None:
        async for record in reader.merged({tp: (first[tp], ends[tp]) for tp in first}):
            yield record
        return
    async for records in reader.follow(first):
        for record in records:
            yield record


async def _first(
    reader: KafkaReader, partitions: list[TopicPartition], ends: dict[TopicPartition, int], start: Start
) -> dict[TopicPartition, int]:
    if start.now:
        return ends
    if start.time is not None:
        return await reader.at_time(partitions, start.time // 1_000_000)
    begins = await reader.begins(partitions)
    return {tp: max(begins[tp], start.offset or 0) for tp in partitions}


async def _last(
    reader: KafkaReader,
    partitions: list[TopicPartition],
    ends: dict[TopicPartition, int],
    limit: int,
    matches: Callable[[Record], bool],
) -> Iterable[Record]:
    """The newest that match, oldest first: read backwards in growing steps, for a key may be rare."""
    begins = await reader.begins(partitions)
    step = limit
    while True:
        found: deque[Record] = deque(maxlen=limit)
        first = {tp: max(begins[tp], ends[tp] - step) for tp in partitions}
        async for record in reader.merged({tp: (first[tp], ends[tp]) for tp in partitions}):
            if matches(record):
                found.append(record)
        if len(found) == limit or first == begins:
            return found
        step *= 10


def _as_text(record: Record) -> str:
    place = f"{record.partition}@{record.offset}"
    return f"{show_time(record.appended)}  {place}  {_text(record.key)}  {_text(record.value)}"


def _text(value: bytes | None) -> str:
    return "–" if value is None else value.decode(errors="backslashreplace")


def _as_json(record: Record) -> str:
    known: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": show_time(record.appended),
        "key": None if record.key is None else record.key.decode(errors="backslashreplace"),
    }
    try:
        value = None if record.value is None else json.loads(record.value)
    except ValueError:
        return json.dumps({**known, "base64": base64.b64encode(record.value or b"").decode()})
    return json.dumps({**known, "value": value})
