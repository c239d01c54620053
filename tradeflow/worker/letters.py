"""What is in the topic `dead-letters`, and the way back to where it came from."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tradeflow import topics
from tradeflow.cluster.started import started
from tradeflow.messages import DeadLetter
from tradeflow.worker.dead_letters import MAX_ORIGINAL

_decoder = msgspec.json.Decoder(DeadLetter)


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


async def read_letters(
    options: Mapping[str, Any], unreadable: Callable[[str], None]
) -> AsyncIterator[Letter]:
    """All that are in the topic now, in order; `unreadable` is told the place of what isn't a dead letter.

    Raises KafkaError, or NoTopic."""
    async with started(AIOKafkaConsumer(**options, enable_auto_commit=False)) as consumer:
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
                        unreadable(f"{place.partition}@{record.offset}")


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
    async with started(producer):
        known = await producer.client.fetch_all_metadata()
        return {letter.place: await _send(producer, known, letter) for letter in letters}


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
