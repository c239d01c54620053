"""`Past`: what Kafka still holds of an earlier moment: the nearest keyframes and the log from there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition

from tradeflow import topics
from tradeflow.cluster.reader import KafkaReader
from tradeflow.history.rebuild import Place, Rebuild, Target
from tradeflow.market.market import time_of
from tradeflow.messages import Keyframe, MarketEvent
from tradeflow.recording.form import Record
from tradeflow.times import show_time

MAX_RECORDS = 2_000_000
"""Of the log, that one answer reads; a keyframe a minute is far nearer at any rate that a partition takes."""


class NotRetained(LookupError):
    """The moment is before what Kafka still holds, after what it holds yet, or too far from its keyframe."""


class Moment(NamedTuple):
    """A partition's books as of a place of its log."""

    rebuild: Rebuild
    partition: int
    offset: int
    """Of the last record that was applied."""
    event: MarketEvent | None
    """That record, where the target names one."""
    timestamp: int
    """When Kafka got it, ms."""


class Past:
    """`options`: of Market, as in Rebuild.  Raises aiokafka's errors where Kafka doesn't answer."""

    def __init__(self, reader: KafkaReader, options: Mapping[str, Any]) -> None:
        self._reader = reader
        self._options = options
        self._decode = msgspec.json.Decoder(MarketEvent).decode
        self._decode_frame = msgspec.json.Decoder(Keyframe).decode

    async def moment(self, partition: int, books: Collection[Place], target: Target, names: bool) -> Moment:
        """The books (all of this partition) at the target; `names`: it names a record, which must be there.

        Raises NotRetained, and NeverThere."""
        log = TopicPartition(topics.MARKET_EVENTS, partition)
        begin, end = (await self._reader.begins([log]))[log], (await self._reader.ends([log]))[log]
        frames = [frame for place in books if (frame := await self._keyframe(partition, place, target))]
        rebuild = Rebuild(
            partition, books, [frame for frame in frames if frame.offset + 1 >= begin], self._options
        )
        if rebuild.first < begin:
            raise NotRetained(
                f"the log of partition {partition} begins at offset {begin} now, and no keyframe of that book is both "
                "in it and before the moment: it is no longer retained"
            )
        offset, timestamp, read = rebuild.first - 1, 0, 0
        async for batch in self._reader.read(log, rebuild.first, end):
            for record in batch:
                event = self._event(record)
                if event is None:
                    continue
                if target.stops_before(event, time_of(event, record.appended)):
                    if offset < 0:
                        raise NotRetained(
                            f"the log of partition {partition} begins at {show_time(time_of(event, record.appended))}: "
                            "nothing is known of before that"
                        )
                    return Moment(rebuild, partition, offset, None, timestamp)
                rebuild.apply(event, record.offset, record.appended)
                offset, timestamp = record.offset, record.timestamp
                if target.stops_after(event, rebuild.event_time):
                    return Moment(rebuild, partition, offset, event, timestamp)
            read += len(batch)
            if read > MAX_RECORDS:
                raise NotRetained(
                    f"more than {MAX_RECORDS} records lie between the nearest keyframe and the moment"
                )
            await asyncio.sleep(0)
        if names:
            raise NotRetained(f"the log of partition {partition} doesn't hold that record (any more, or yet)")
        raise NotRetained(
            f"the log of partition {partition} has come to {show_time(rebuild.event_time)}: ask for an earlier moment"
        )

    async def find(
        self, topic: str, partition: int, since: int, wanted: Callable[[Record], bool], limit: int = 100_000
    ) -> Record | None:
        """The first record from a timestamp (ms) on that is wanted, among `limit` of them."""
        tp = TopicPartition(topic, partition)
        first, end = (await self._reader.at_time([tp], since))[tp], (await self._reader.ends([tp]))[tp]
        async for batch in self._reader.read(tp, first, min(end, first + limit)):
            for record in batch:
                if wanted(record):
                    return record
            await asyncio.sleep(0)
        return None

    async def find_all(
        self, topic: str, partition: int, since: int, wanted: Callable[[Record], bool], limit: int = 1_000_000
    ) -> list[Record]:
        """All from a timestamp (ms) on that are wanted, among the first `limit`."""
        tp = TopicPartition(topic, partition)
        first, end = (await self._reader.at_time([tp], since))[tp], (await self._reader.ends([tp]))[tp]
        found = []
        async for batch in self._reader.read(tp, first, min(end, first + limit)):
            found += [record for record in batch if wanted(record)]
            await asyncio.sleep(0)
        return found

    async def _keyframe(self, partition: int, place: Place, target: Target) -> Keyframe | None:
        """The last keyframe of a book before the target: they come in order, but for what came again after a crash."""
        tp = TopicPartition(topics.KEYFRAMES, partition)
        low, high = (await self._reader.begins([tp]))[tp], (await self._reader.ends([tp]))[tp]
        best = None
        while low < high:
            middle = (low + high) // 2
            frames, behind = await self._frames(tp, middle, high, place)
            before = [frame for frame in frames if target.is_after(frame)]
            if not before:
                high = middle
                continue
            best = before[-1]
            if len(before) < len(frames):
                break
            low = behind
        return best

    async def _frames(
        self, tp: TopicPartition, first: int, end: int, place: Place
    ) -> tuple[list[Keyframe], int]:
        """A book's keyframes in the first batch between two offsets that has any, and the offset behind that batch."""
        exchange, symbol = place
        async for batch in self._reader.read(tp, first, end):
            of_symbol = (record for record in batch if (record.key or b"").decode() == symbol)
            frames = [self._decode_frame(record.value or b"") for record in of_symbol]
            if of_book := [frame for frame in frames if frame.exchange == exchange]:
                return of_book, batch[-1].offset + 1
        return [], end

    def _event(self, record: Record) -> MarketEvent | None:
        try:
            event: MarketEvent = self._decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # a dead letter
        return event
