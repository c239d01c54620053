"""Our Kafka transport for Faust: runs of records, exact commits, checkpoints at commit.  Its rules:

1. *Runs* (runs.py).  What one fetch brought of a partition becomes one message, decoded at once.
2. *Acks are tracked by message, in read order;* the longest acked prefix of a partition is committed.  Never
   by offset: after a rebalance Faust also acks events that it skips, and a stale ack must not complete one that
   is read again.
3. *The commit is the checkpoint, a consistent cut:* between two runs note what is applied and serialize what
   changed; wait for the broker's acks of all outputs up to there; prove that we still own the partitions
   (a fenced commit that moves nothing); send the state and await its acks; prove it again, mark it; commit cut + 1.
4. *A rebalance rewinds everything:* partitions are checkpointed before they are given up, and with every seek
   all acks, cuts and live state are dropped and loaded again from the tables.
5. *What was fetched is delivered at once,* without a turn of the event loop for each message.
6. *Nothing read too early survives:* Faust clears its queues when it resumes, so records fetched between
   assignment and resumption would vanish; they are dropped here and sought again.

faust-streaming is pinned exactly; `tests/unit/test_seams.py` asserts each part of it that is overridden.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import aiokafka.consumer.consumer
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from mode import Service
from mode.utils.futures import maybe_async

from tradeflow.worker.fetch_sessions import FetchSessions
from tradeflow.worker.fetcher import Fetcher
from tradeflow.worker.outbox import Outbox
from tradeflow.worker.pace import Pace
from tradeflow.worker.runs import RunScheduler, RunTopics

log = logging.getLogger(__name__)

aiokafka.consumer.consumer.Fetcher = Fetcher  # for the whole process: it only asks less


class Cut(NamedTuple):
    """A checkpoint of one partition's state: everything up to `offset` is applied, nothing beyond it."""

    tp: TP
    offset: int
    writes: Mapping[tuple[str, str], bytes]
    """(table, key) → value, what changed since the last cut."""


class Hold(Protocol):
    """Whether partitions are still this worker's."""

    def held(self) -> bool:
        """As far as it knows: what was read since the cut hasn't been rewound, and isn't about to be."""

    async def prove(self) -> bool:
        """As the broker says."""


class State(Protocol):
    """What a consumer needs to know of the state that is checkpointed with its commits."""

    def take(self) -> list[Cut]:
        """A cut of every partition that moved; synchronous, so it falls between two runs."""

    async def save(self, cuts: Iterable[Cut], hold: Hold) -> bool:
        """Make the cuts durable: True when the broker has acknowledged them, False if they aren't held any more.

        Goes on when its caller gives up waiting."""

    async def settled(self) -> None:
        """Wait until no cut is being saved."""

    def reset(self) -> None:
        """Forget all live state: it is loaded again from the tables."""

    def holds(self, topic: str) -> bool:
        """True for topics whose committed offset is that of a cut."""


FETCH_GRACE = 0.25
"""Seconds by which a fetch may outlast its own timeout."""
RECOVERY_FETCH = 4 * 1024 * 1024
"""Bytes of a changelog partition that are fetched at once: for a moment, and nothing else waits in memory then."""
AHEAD = 500
"""Records that wait for their agents, from which on no more are decoded: long before its turn that would take memory,
the garbage collector's time, and the room of the processor's caches."""


class LoopConsumer(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in the worker's own event loop.

    Faust's thread for it costs each fetch two hand-overs between loops that wait for the same lock (GIL).  And no
    worker that has stopped moving keeps its partitions: who doesn't get to send heartbeats loses them."""

    wait_for_shutdown = False

    def __init__(self, consumer: Consumer, *, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, **kwargs)

    # A service as any other: what makes it one in a thread is undone.
    maybe_start = Service.maybe_start
    start = Service.start
    stop = Service.stop
    crash = Service.crash  # type: ignore[assignment]
    set_shutdown = Service.set_shutdown
    _stopped_set = Service._stopped_set
    _stop_children = Service._stop_children
    _stop_futures = Service._stop_futures
    _stop_exit_stacks = Service._stop_exit_stacks

    async def on_stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        transport: Any = self.transport
        consumer._key_deserializer = transport.run_topics
        FetchSessions(consumer)
        return consumer

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        app = self.app
        size = RECOVERY_FETCH if app.in_recovery else app.conf.consumer_max_fetch_size
        consumer._fetcher._max_partition_fetch_bytes = size
        # aiokafka's fetch waits until a rebalance is over, and whoever stops the fetcher for that.  It takes records
        # out only where nothing is awaited: what is cancelled has lost none.
        # And all of them at once: for what is left behind it asks no more, but goes on waiting for other partitions.
        with suppress(TimeoutError):
            async with asyncio.timeout(None if timeout is None else timeout + FETCH_GRACE):
                return await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        return {}


class Consumer(driver.Consumer):
    """Commits the longest acked prefix, with a checkpoint of the state at the same cut."""

    transport: Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheduler = RunScheduler(self.transport.run_topics)
        self._reading: defaultdict[TP, deque[Message]] = defaultdict(deque)
        self._ahead: list[Message] = []
        """Runs that wait for their agents, or are at them."""
        self._rewinds = 0
        self._needs_seek = True
        self._checkpoint_lock = asyncio.Lock()
        self._pace = Pace()

    def _new_consumer_thread(self) -> LoopConsumer:
        return LoopConsumer(self, loop=self.loop, beacon=self.beacon)

    # -- reading

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        if self._needs_seek and not self.app.rebalancing and self.flow_active:
            await self.perform_seek()
            self._needs_seek = False
        rewinds: int | None = None
        async for tp, message in super().getmany(timeout):
            rewinds = self._rewinds if rewinds is None else rewinds  # as of when they were taken out
            is_run = tp.topic in self.transport.run_topics
            if is_run:
                await self._room()
            if self._rewinds != rewinds:
                return  # all of them are read again
            if (self.app.rebalancing or self._needs_seek) and not self._is_changelog_tp(tp):
                continue  # rule 6
            read = self._read_offset[tp]
            if read is None or message.offset >= read:
                self._reading[tp].append(message)
                if is_run:
                    self._ahead.append(message)
            yield tp, message

    async def _drain_messages(self, fetcher: Any) -> None:
        # Faust's loop waits for each message in tasks of its own, a turn of the event loop each: in a busy
        # worker a millisecond.  Here what was fetched is delivered in one go, unless a stream's buffer is full.
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for tp, message in self.getmany(timeout=1.0):
                    await self._deliver(tp, message)
                await asyncio.sleep(0)
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise

    async def _room(self) -> None:
        """Wait until agents have come near to what was decoded; not for ever, for one of them may be slow."""
        if self._records_ahead() < AHEAD:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._records_ahead() >= AHEAD:
                    self._waiting_for_ack = self.loop.create_future()
                    await self._waiting_for_ack

    def _records_ahead(self) -> int:
        self._ahead = [message for message in self._ahead if not message.acked]
        runs: list[Any] = [message.value for message in self._ahead]
        return sum(map(len, runs))

    async def _deliver(self, tp: TP, message: Message) -> None:
        read = self._read_offset[tp]
        if read is not None and message.offset < read:
            return
        delivering: Any = self.callback(message)
        delivery: asyncio.Task[Any] = asyncio.Task(delivering, loop=self.loop, eager_start=True)
        if delivery.done():
            delivery.result()
        else:
            await self.wait_first(delivery, self.suspend_flow.wait())
        self._read_offset[tp] = message.offset

    async def perform_seek(self) -> None:
        async with self._checkpoint_lock:  # a checkpoint in flight ends before its state is loaded again
            await self.transport.state.settled()
            await super().perform_seek()
            self._rewinds += 1
            self._reading.clear()
            self._ahead.clear()
            self._acked_index.clear()  # what is in there Faust's streams take for acknowledged
            self.transport.state.reset()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        # aiokafka seeks only where something above 0 is committed; elsewhere what was read would be skipped.
        committed = await super().seek_to_committed()
        fresh = [tp for tp, offset in committed.items() if not offset and not self._is_changelog_tp(tp)]
        if fresh:
            await self._thread.seek_wait(await self._thread.earliest_offsets(*fresh))
        return committed

    def verify_event_path(self, now: float, tp: TP) -> None:
        # Faust's watchdog asserts that a partition has a position; just after an assignment it has none yet.
        with suppress(AssertionError):
            super().verify_event_path(now, tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Holes in the offsets need no bookkeeping: messages are tracked, not offsets."""

    def ack(self, message: Message) -> bool:
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._n_acked += 1
        return True

    # -- rebalancing

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._needs_seek = True
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # super() drops the acks before any callback of the app runs: this is the last moment to commit.
        await self.force_commit()
        self._needs_seek = True
        await super().on_partitions_revoked(revoked)

    # -- committing

    @Service.task
    async def _commit_handler(self) -> None:
        async for _ in self.itertimer(self.commit_interval, name="commit"):
            if self._pace.is_due:  # else it waits for the next turn
                await self.commit()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:  # type: ignore[override]
        return [tp for tp in self._reading if topics is None or tp in topics or tp.topic in topics]

    def _acked_prefix(self, tp: TP) -> int | None:
        """Offset of the last message of which all before it are acked too; forgets those."""
        # Faust's streams note each offset here as well, for commits that ours replace: nobody else takes them out.
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        reading = self._reading[tp]
        last = None
        while reading and reading[0].acked:
            last = reading.popleft().offset
        return last

    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:
        # Bounded, for a rebalance waits for it and with that the whole group.  What isn't committed in time is part of
        # the next checkpoint, or read and applied again by the partition's next owner.
        patience = self.app.conf.broker_session_timeout
        try:
            async with asyncio.timeout(patience) as limit, self._checkpoint_lock:
                if self._needs_seek:
                    return False  # between two assignments: what is applied now will be applied again
                return await self._checkpoint(list(tps), start_new_transaction)
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning(
                "a checkpoint took longer than %g s and is left to the next: is Kafka overloaded?", patience
            )
            return False

    async def _checkpoint(self, tps: list[TP], start_new_transaction: bool) -> bool:
        state, outbox, rewinds = self.transport.state, self.transport.outbox, self._rewinds
        offsets: dict[TP, int] = {}
        for tp in tps:
            last = self._acked_prefix(tp)
            if last is not None and not state.holds(tp.topic) and self._should_commit(tp, last + 1):
                offsets[tp] = last + 1
        with self._pace.serializing():
            cuts = state.take()
        offsets.update({cut.tp: cut.offset + 1 for cut in cuts})
        if not offsets:
            return False
        await self._handle_attached(offsets)
        await outbox.settle()
        if self._rewinds != rewinds:
            return False
        if cuts:
            hold = _Held(self, cuts, rewinds)
            if not (await hold.prove() and await state.save(cuts, hold) and hold.held()):
                return False
        return await self._commit_offsets(offsets, start_new_transaction=start_new_transaction)

    def lag(self) -> dict[TP, int]:
        """Records of each partition that is read in runs which are not committed yet, as of the last fetch."""
        lag = {}
        for tp in self.assignment():
            end = self.highwater(tp)
            if tp.topic in self.transport.run_topics and end is not None:
                lag[tp] = max(0, end - (self._committed_offset[tp] or 0))
        return lag


class _Held(Hold):
    """The partitions of some cuts."""

    def __init__(self, consumer: Consumer, cuts: Iterable[Cut], rewinds: int) -> None:
        self._consumer, self._rewinds = consumer, rewinds
        self._unmoved = {cut.tp: consumer._committed_offset[cut.tp] or 0 for cut in cuts}

    def held(self) -> bool:
        return self._consumer._rewinds == self._rewinds and not self._consumer._needs_seek

    async def prove(self) -> bool:
        # A worker that was frozen beyond its session must not write state: the broker refuses this commit,
        # which changes nothing, by the group's generation.
        owned = self.held() and self._unmoved.keys() <= self._consumer.assignment()
        return owned and await self._consumer._commit(self._unmoved) and self.held()


class Transport(driver.Transport):
    """Faust's aiokafka transport with our consumer.  `run_topics` deliver runs; `state` is checkpointed."""

    Consumer = Consumer

    def __init__(
        self, url: Any, app: Any, *, outbox: Outbox, state: State, run_topics: Iterable[str]
    ) -> None:
        super().__init__(url, app)
        self.outbox = outbox
        self.state = state
        self.run_topics = RunTopics(run_topics)
