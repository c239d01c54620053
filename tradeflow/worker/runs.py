"""`Run`: what one fetch brought of a partition, as one message that is decoded at once.

One record when idle, hundreds under load: runs size themselves and add no latency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from faust.serializers.schemas import Schema
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, Message

from tradeflow.messages import SCHEMA_VERSION

MAX_RUN = 500
"""Records a run at the most: bounds how long one run keeps the event loop."""


class _Composite(NamedTuple):
    """A run in the form that Faust's `Consumer._to_message` reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    timestamp_type: int | None
    headers: tuple[()]
    key: None
    value: list[Any]
    checksum: None
    serialized_key_size: int
    serialized_value_size: int


def _composite(tp: TP, records: list[Any]) -> _Composite:
    last = records[-1]
    return _Composite(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp,
        last.timestamp_type,
        (),
        None,
        records,
        None,
        0,
        0,
    )


class RunScheduler(DefaultSchedulingStrategy):
    """Round robin over topics and partitions, with runs instead of records for `run_topics`."""

    def __init__(self, run_topics: Iterable[str] = ()) -> None:
        self.run_topics = frozenset(run_topics)

    def map_from_records(self, records: Mapping[TP, list[Any]]) -> Any:  # type: ignore[override]
        runs = {
            tp: [_composite(tp, one) for one in found] if tp.topic in self.run_topics else found
            for tp, found in records.items()
        }
        return super().map_from_records(runs)


class RunTopics(frozenset[str]):
    """As the `key_deserializer` of an aiokafka consumer: it gives these topics in runs, lists of at most MAX_RUN
    records (offset, key, value, timestamp) as the parser (C) made them.

    A ConsumerRecord of each, one after the other, costs more than decoding them.  Of what a consumer is made with, the
    deserializers are all that gets to where records are made."""


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    next_fetch_offset: int

    def __init__(
        self, tp: Any, records: Any, aborted: Any, offset: int, topics: Any, *args: Any, **kwargs: Any
    ) -> None:
        self._in_runs = isinstance(topics, RunTopics) and tp.topic in topics
        deserializer = None if isinstance(topics, RunTopics) else topics
        super().__init__(tp, records, aborted, offset, deserializer, *args, **kwargs)

    def _unpack_records(self) -> Iterator[Any]:
        return self._unpack_runs() if self._in_runs else super()._unpack_records()

    def _unpack_runs(self) -> Iterator[list[Any]]:
        # The position follows what was given out: who stops in between reads on from there.
        batches, end = self._records, self.next_fetch_offset
        run: list[Any] = []
        while batches.has_next():
            batch = batches.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:
                records = chain(batch)  # which may be asked again after its end, as the parser may not
                while some := list(islice(records, MAX_RUN - len(run))):
                    if some[0].offset < end:  # a batch may begin before what was asked for
                        some = [record for record in some if record.offset >= end]
                    run += some
                    if len(run) == MAX_RUN:
                        end = self.next_fetch_offset = run[-1].offset + 1
                        yield run
                        run = []
            end = max(end, batch.next_offset)
        if run:
            self.next_fetch_offset = run[-1].offset + 1
            yield run
        self.next_fetch_offset = end


fetcher.PartitionRecords = PartitionRecords  # for the whole process; it is itself where nobody asks for runs


class Run:
    """Consecutive records of one partition.

    `messages[i]` is the decoded value of `records[i]` (offset, key, value, timestamp); `unusable` are the records
    that could not be decoded, each with the reason.  `last_offset` covers both."""

    __slots__ = ("last_offset", "messages", "partition", "records", "topic", "unusable")

    def __init__(
        self, message: Message, messages: list[Any], records: list[Any], unusable: list[tuple[Any, str]]
    ) -> None:
        self.topic = message.topic
        self.partition = message.partition
        self.last_offset = message.offset
        self.messages = messages
        self.records = records
        self.unusable = unusable


class RunSchema(Schema):  # type: ignore[type-arg]
    """Decodes a run at once into values of `type`; a bad record never costs its neighbors."""

    def __init__(self, type: Any) -> None:
        super().__init__(key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
        self._decode_all = msgspec.json.Decoder(list[type]).decode
        self._decode_one = msgspec.json.Decoder(type).decode

    def loads_key(self, app: Any, message: Message, *, loads: Any = None, serializer: Any = None) -> None:
        return None

    def loads_value(self, app: Any, message: Message, *, loads: Any = None, serializer: Any = None) -> Run:
        records: list[Any] = message.value  # type: ignore[assignment]
        try:
            messages = self._decode_all(b"[" + b",".join([record.value for record in records]) + b"]")
            if len(messages) == len(records):
                return Run(message, messages, records, [])
        except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
            pass  # one of them is bad, or a tombstone: find out which
        return self._one_by_one(message, records)

    def _one_by_one(self, message: Message, records: list[Any]) -> Run:
        messages, usable, unusable = [], [], []
        for record in records:
            try:
                messages.append(self._decode_one(record.value or b""))
                usable.append(record)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                unusable.append((record, _newer(record.value) or str(error)))
        return Run(message, messages, usable, unusable)


class _Version(msgspec.Struct):
    v: int = SCHEMA_VERSION


_decode_version = msgspec.json.Decoder(_Version).decode


def _newer(value: bytes | None) -> str:
    """Where a record can't be decoded because it is of a later version: that, which says more than what it led to."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        if (version := _decode_version(value or b"").v) > SCHEMA_VERSION:
            return (
                f"schema version {version}, this worker reads {SCHEMA_VERSION}: a newer one wrote it. Upgrade this"
                " worker, then send the letter again"
            )
    return ""
