"""`tradeflow dead-letters`: lists what could not be used, shows its bytes, and sends it where it came from again."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tradeflow import topics
from tradeflow.dead_letters import MAX_ORIGINAL
from tradeflow.kafka_security import client_options, why_not
from tradeflow.messages import DeadLetter
from tradeflow.settings import SettingsError, load_settings

_decoder = msgspec.json.Decoder(DeadLetter)
_PLACE = re.compile(r"(?:([0-9]+)@)?([0-9]+)").fullmatch


class NoTopic(Exception):
    """This Kafka holds no dead letters; the message says why."""


class Letter(NamedTuple):
    """A dead letter and where it is in the topic `dead-letters`."""

    partition: int
    offset: int
    key: bytes | None
    """The original record's."""
    said: DeadLetter

    @property
    def place(self) -> str:
        return f"{self.partition}@{self.offset}"

    @property
    def original(self) -> bytes:
        return base64.b64decode(self.said.original)

    @property
    def is_cut(self) -> bool:
        """Only the beginning of the original was kept."""
        return len(self.original) >= MAX_ORIGINAL

    def summary(self) -> dict[str, Any]:
        said = self.said
        return {
            "letter": self.place,
            "time": said.time,
            "topic": said.topic,
            "partition": said.partition,
            "offset": said.offset,
            "key": said.key,
            "bytes": len(self.original),
            "cut": self.is_cut,
            "reason": said.reason,
        }


async def read_letters(options: Mapping[str, Any]) -> AsyncIterator[Letter]:
    """All that are in the topic now, in order; what isn't a dead letter is left out.

    Raises KafkaError, or NoTopic."""
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
    try:
        await consumer.start()
        if topics.DEAD_LETTERS not in await consumer.topics():
            raise NoTopic(f"this Kafka has no topic {topics.DEAD_LETTERS}: no worker has run on it yet")
        numbers = consumer.partitions_for_topic(topics.DEAD_LETTERS) or {0}
        places = [TopicPartition(topics.DEAD_LETTERS, number) for number in sorted(numbers)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        for place, end in (await consumer.end_offsets(places)).items():
            while await consumer.position(place) < end:
                for record in (await consumer.getmany(place, timeout_ms=1_000)).get(place, ()):
                    try:
                        yield Letter(
                            place.partition, record.offset, record.key, _decoder.decode(record.value)
                        )
                    except (msgspec.DecodeError, TypeError):
                        click.echo(f"{place.partition}@{record.offset} is no dead letter", err=True)
    finally:
        await consumer.stop()


class Result(NamedTuple):
    """What became of a letter that was to be sent again, and where it is now or why it isn't."""

    is_sent: bool
    words: str


async def send_again(options: Mapping[str, Any], letters: list[Letter]) -> dict[str, Result]:
    """Send the originals, in order, to the topics and partitions that they came from: letter -> Result.

    Raises KafkaError if Kafka doesn't answer at all."""
    producer = AIOKafkaProducer(
        **options, acks="all", enable_idempotence=True, max_request_size=topics.MAX_RECORD_BYTES
    )
    try:
        await producer.start()
        known = await producer.client.fetch_all_metadata()
        return {letter.place: await _send(producer, known, letter) for letter in letters}
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, known: Any, letter: Letter) -> Result:
    said = letter.said
    if letter.is_cut:
        return Result(
            False,
            f"refused: only the first {MAX_ORIGINAL:,} bytes of the original were kept; the whole is "
            f"{said.topic}/{said.partition}@{said.offset}, as long as that topic holds it",
        )
    if said.partition not in (known.partitions_for_topic(said.topic) or ()):
        return Result(False, f"refused: Kafka has no {said.topic}/{said.partition} any more")
    try:
        sent = await producer.send_and_wait(
            said.topic, letter.original, key=letter.key, partition=said.partition
        )
    except KafkaError as error:
        return Result(False, f"refused by Kafka: {error!r}")
    return Result(True, f"sent to {sent.topic}/{sent.partition}@{sent.offset}")


@click.command("dead-letters")
@click.option("--topic", help="Only letters of records of this topic.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="The newest so many."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--show", metavar="LETTER", help="One letter (its number in the list, e.g. 0@17) with its bytes."
)
@click.option(
    "--reinject",
    multiple=True,
    metavar="LETTER",
    help="Send its original to where it came from, again; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Reinject all letters, or all of --topic.")
@click.option("--yes", is_flag=True, help="Don't ask before --all.")
def dead_letters_command(
    topic: str | None,
    limit: int,
    as_json: bool,
    show: str | None,
    reinject: tuple[str, ...],
    everything: bool,
    yes: bool,
) -> None:
    """List the records that could not be used, show them, or send them again.

    Ends with status 1 if a letter that was named isn't there or can't be sent."""
    if sum((show is not None, bool(reinject), everything)) > 1:
        raise click.UsageError("--show, --reinject and --all exclude each other")
    named = [_place(text) for text in (*reinject, *([show] if show else []))]
    try:
        options = client_options(load_settings())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    letters = _run(options, _chosen(options, topic, named, None if everything else limit))
    missing = [place for place in named if place not in {letter.place for letter in letters}]
    if missing:
        raise click.ClickException(f"no letter {', '.join(missing)} in {topics.DEAD_LETTERS}")
    if show is not None:
        _show(letters[0], as_json)
    elif not reinject and not everything:
        _list(letters, as_json)
    elif letters and (yes or reinject or click.confirm(f"Send {len(letters)} records again?")):
        _report(_run(options, send_again(options, letters)), as_json)
    else:
        click.echo("[]" if as_json else "nothing is sent")


async def _chosen(
    options: Mapping[str, Any], topic: str | None, named: list[str], limit: int | None
) -> list[Letter]:
    found: deque[Letter] = deque(maxlen=None if named else limit)
    async for letter in read_letters(options):
        if (letter.place in named) if named else topic in (None, letter.said.topic):
            found.append(letter)
    return list(found)


def _place(text: str) -> str:
    match = _PLACE(text)
    if not match:
        raise click.UsageError(f"{text!r} is no letter: write PARTITION@OFFSET as the list does, e.g. 0@17")
    return f"{int(match[1] or 0)}@{int(match[2])}"


def _run(options: Mapping[str, Any], work: Any) -> Any:
    try:
        return asyncio.run(work)
    except NoTopic as error:
        raise click.ClickException(str(error)) from None
    except (KafkaError, OSError) as error:
        reason = asyncio.run(why_not(options)) or error  # the client has only logged what it was
        raise click.ClickException(
            f"no answer of Kafka at {options['bootstrap_servers']} ({reason!r}): start it, or correct KAFKA_BROKERS"
        ) from None


def _list(letters: list[Letter], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([letter.summary() for letter in letters], indent=2))
        return
    for letter in letters:
        said = letter.said
        key = "" if said.key is None else f" {said.key}"
        click.echo(
            f"{letter.place}  {_utc(said.time)}  {said.topic}/{said.partition}@{said.offset}{key}  "
            f"{len(letter.original):,} bytes{' (cut)' if letter.is_cut else ''}\n    {said.reason}"
        )
    click.echo(f"{len(letters)} dead letters" if letters else "no dead letters")


def _show(letter: Letter, as_json: bool) -> None:
    text = letter.original.decode(errors="backslashreplace")
    if as_json:
        click.echo(
            json.dumps({**letter.summary(), "original": text, "base64": letter.said.original}, indent=2)
        )
        return
    _list([letter], False)
    click.echo(text)


def _report(results: dict[str, Result], as_json: bool) -> None:
    sent = sum(result.is_sent for result in results.values())
    if as_json:
        click.echo(json.dumps({place: result._asdict() for place, result in results.items()}, indent=2))
    else:
        for place, result in results.items():
            click.echo(f"{place}: {result.words}")
        click.echo(f"{sent} of {len(results)} sent again")
    if sent < len(results):
        raise SystemExit(1)


def _utc(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
