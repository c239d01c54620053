"""Pipelined sends: records are appended without waiting, batched per partition, and settled before a commit.

The rule that makes the commit exact: nothing that was read is committed before everything that it caused is
acknowledged by the broker.  `settle()` waits for exactly that, and a send that fails for good ends the
process (`on_failure`) before its source can be committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

log = logging.getLogger(__name__)


KAFKAS = "Check the broker's log and disk, and the topic's max.message.bytes."
"""What to do where Kafka refuses records."""


class SendError(RuntimeError):
    """Kafka refused records for good, or something else can't go on; the worker stops so that their source is read
    again."""


class Sent(NamedTuple):
    """Where a batch of records ended up: the last of so many consecutive offsets."""

    last_offset: int
    records: int


class _Batch:
    __slots__ = ("builder", "done", "size")

    def __init__(self, builder: Any, done: asyncio.Future[Sent]) -> None:
        self.builder = builder
        self.done = done
        self.size = 0


class _Lane:
    """The batches of one partition that wait for their turn, oldest first; the last one is still open."""

    __slots__ = ("batches", "partition", "task", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.batches: deque[_Batch] = deque()
        self.task: asyncio.Task[None] | None = None


class Outbox:
    """Sends records over an aiokafka producer without awaiting each one.

    `producer()` gives the started `AIOKafkaProducer`; `limit` bytes may be unacknowledged before `room()`
    waits and `append(…, bounded=True)` raises BufferError; `on_failure(error)` must end the process."""

    def __init__(
        self,
        producer: Callable[[], Any],
        *,
        on_failure: Callable[[SendError], None],
        limit: int = 64 * 1024 * 1024,
    ) -> None:
        self._producer = producer
        self._on_failure = on_failure
        self._limit = limit
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._unacked: set[asyncio.Future[Sent]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self.pending_bytes = 0
        self.error: SendError | None = None

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, *, bounded: bool = False
    ) -> asyncio.Future[Sent]:
        """Queue one record; it leaves in this loop iteration or when the partition's previous batch has left.

        Returns the future of its batch.  Raises SendError after a failed send, and with `bounded`
        BufferError when more than the limit is waiting for Kafka."""
        if self.error is not None:
            raise self.error
        if bounded and self.pending_bytes > self._limit:
            raise BufferError(
                f"{self.pending_bytes} bytes wait for Kafka, {self._limit} are allowed: is the broker reachable?"
            )
        return self.extend(topic, partition, ((topic, key, value),))

    def extend(
        self, topic: str, partition: int, records: Iterable[tuple[str, bytes | None, bytes | None]]
    ) -> asyncio.Future[Sent]:
        """Queue (topic, key, value) records of one topic, as append() does each; the future is that of the last one."""
        if self.error is not None:
            raise self.error
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[(topic, partition)] = _Lane(topic, partition)
        batch = lane.batches[-1] if lane.batches else self._open(lane)
        append = batch.builder.append
        for _, key, value in records:
            if append(timestamp=None, key=key, value=value) is None:
                batch = self._open(lane)
                append = batch.builder.append
                if append(timestamp=None, key=key, value=value) is None:
                    raise SendError(
                        f"a record of {len(value or b'')} bytes for {topic}/{partition} does not fit a batch"
                    )
            size = len(value or b"") + len(key or b"")
            batch.size += size
            self.pending_bytes += size
        if self.pending_bytes > self._limit:
            self._room.clear()
        if lane.task is None:
            lane.task = asyncio.get_running_loop().create_task(self._pump(lane))
        return batch.done

    async def send(self, topic: str, partition: int, key: bytes | None, value: bytes) -> int:
        """Send one record by itself and wait for it; returns its offset.  Raises aiokafka's errors."""
        written = await self._producer().send_and_wait(topic, value, key=key, partition=partition)
        return int(written.offset)

    async def room(self) -> None:
        """Wait until less than the limit is unacknowledged: backpressure for whoever reads from Kafka."""
        if not self._room.is_set():
            await self._room.wait()
        if self.error is not None:
            raise self.error

    async def settle(self) -> None:
        """Wait until everything appended so far is acknowledged.  Raises SendError if anything was not."""
        if self._unacked:
            await asyncio.wait(list(self._unacked))
        if self.error is not None:
            raise self.error

    def _open(self, lane: _Lane) -> _Batch:
        done: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        batch = _Batch(self._producer().create_batch(), done)
        self._unacked.add(done)
        lane.batches.append(batch)
        return batch

    async def _pump(self, lane: _Lane) -> None:
        # send_batch() waits while the previous batch of the partition is still queued; records that are
        # appended meanwhile join the open batch, so batches grow by themselves under load.
        try:
            # Followed before it is sent to: a client that follows nothing knows all topics, and forgets them with the
            # first that it follows.  A batch that is queued then would wait for its leader for ever.
            await self._producer().client.add_topic(lane.topic)
            while lane.batches:
                batch = lane.batches[0]
                await self._wait_turn(lane)
                lane.batches.popleft()
                batch.builder.close()
                future = await self._producer().send_batch(
                    batch.builder, lane.topic, partition=lane.partition
                )
                count = batch.builder.record_count()
                future.add_done_callback(lambda f, b=batch, n=count: self._acknowledged(lane, b, n, f))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.fail(f"sending to {lane.topic}/{lane.partition} failed: {error!r}", KAFKAS)
        finally:
            lane.task = None

    async def _wait_turn(self, lane: _Lane) -> None:
        from aiokafka import TopicPartition

        accumulator = self._producer()._message_accumulator
        while queued := accumulator._batches.get(TopicPartition(lane.topic, lane.partition)):
            await queued[-1].wait_drain()

    def _acknowledged(self, lane: _Lane, batch: _Batch, count: int, future: asyncio.Future[Any]) -> None:
        self.pending_bytes -= batch.size
        if self.pending_bytes <= self._limit:
            self._room.set()
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self.fail(
                f"Kafka did not take {count} records for {lane.topic}/{lane.partition}: {error!r}", KAFKAS
            )
        elif not batch.done.done():  # else: something else has failed before
            batch.done.set_result(Sent(future.result().offset + count - 1, count))
        self._unacked.discard(batch.done)

    def fail(self, reason: str, remedy: str) -> None:
        """From now on nothing settles, so nothing is committed, and the process ends."""
        if self.error is not None:
            return
        self.error = SendError(
            f"{reason}. The worker stops; what it read since its last commit is read again after a restart. {remedy}"
        )
        log.critical("%s", self.error)
        for done in self._unacked:
            done.set_result(Sent(-1, 0))  # wakes settle(), which raises
        self._unacked.clear()
        self._room.set()
        self._on_failure(self.error)
