"""`Tail`: what this worker knows of all partitions, read outside the consumer group.

In a group each worker sees only its own partitions; lists, `/stream` and claims need them all.  The latest
record of each book, the last orders and trades, and every claim are kept in memory.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from mode import Service

from tradeflow import topics
from tradeflow.market.orders import NEXT
from tradeflow.messages import (
    SCHEMA_VERSION,
    DeadLetter,
    Execution,
    FeedClaim,
    Order,
    OrderStatus,
    PositionRecord,
    SchemaVersion,
    Steer,
    Terms,
    TopOfBook,
    Trade,
)
from tradeflow.worker.runs import RunTopics

log = logging.getLogger(__name__)

LOOKBACK_MS = 30_000
"""How far back reading starts; the market agents publish every book again more often than that."""
MAX_DELAY_MS = 100
"""By how much lists are older than the books, at the most."""
PAUSE = 1.0
"""Seconds without a turn of the event loop after which the process was frozen."""
MAX_FETCH = 1024 * 1024
MAX_ORDERS = 10_000
MAX_EXECUTIONS = 10_000
MAX_TRADES = 1_000
"""Kept for each symbol."""


class _Version(msgspec.Struct, gc=False):
    """Which record of top-of-book is the newer one; all else is decoded when somebody asks for it."""

    exchange: str
    symbol: str
    epoch: int
    sequence: int
    event_time: int
    v: SchemaVersion = SCHEMA_VERSION


class KnownOrder:
    """An order, and what has become of it.  They come from different topics, in any order."""

    __slots__ = ("cancel", "executions", "order")

    def __init__(self) -> None:
        self.order: Order | None = None
        self.cancel: Order | None = None
        """The command that asked for its end."""
        self.executions: list[Execution] = []
        """In order, each once."""

    @property
    def status(self) -> OrderStatus:
        """PENDING_CANCEL from when its cancel was sent."""
        status: OrderStatus = self.executions[-1].status if self.executions else "INITIALIZED"
        return "PENDING_CANCEL" if self.cancel is not None and "PENDING_CANCEL" in NEXT[status] else status


class Tail(Service):
    """Follows the compact output topics.

    `client` = keyword arguments of any aiokafka client.
    `on_claim(epoch, claim)` is called for every feed claim, `on_terms(offset, terms)` for every worker's terms, and
    `on_steer(offset, steer)` for every operator's word since the beginning."""

    def __init__(
        self,
        client: Mapping[str, Any],
        on_claim: Callable[[int, FeedClaim], None] | None = None,
        on_terms: Callable[[int, Terms], None] | None = None,
        on_steer: Callable[[int, Steer], None] | None = None,
    ) -> None:
        super().__init__()
        self._client = client
        self._on_claim = on_claim
        self._on_terms = on_terms
        self._on_steer = on_steer
        self._handlers: dict[str, Callable[[int, bytes], None]] = {
            topics.TOP_OF_BOOK: self._top_of_book,
            topics.TRADES: self._trade,
            topics.ORDERS: self._order,
            topics.EXECUTIONS: self._execution,
            topics.POSITIONS: self._position,
            topics.DEAD_LETTERS: self._dead_letter,
            topics.FEED_CLAIMS: self._claim,
            topics.CONTROL: self._control,
        }
        self._decode_top = msgspec.json.Decoder(TopOfBook).decode
        self._decode_trade = msgspec.json.Decoder(Trade).decode
        self._decode_order = msgspec.json.Decoder(Order).decode
        self._decode_execution = msgspec.json.Decoder(Execution).decode
        self._decode_position = msgspec.json.Decoder(PositionRecord).decode
        self._decode_version = msgspec.json.Decoder(_Version).decode
        self._decode_versions = msgspec.json.Decoder(list[_Version]).decode
        self._tops: dict[tuple[str, str], tuple[tuple[int, int, int], bytes]] = {}
        self._trades: dict[str, deque[Trade]] = {}
        self._last_trade: dict[tuple[str, str], tuple[int, int]] = {}
        self._orders = OrderedDict[str, KnownOrder]()
        """Oldest first; a dict would look for its first key past all those that are gone."""
        self._executions: deque[Execution] = deque(maxlen=MAX_EXECUTIONS)
        self._positions: dict[tuple[str, str], PositionRecord] = {}
        self.conflicting_orders = 0
        """Orders that came again under the same id with another content: must stay 0."""
        self.dead_letters = 0
        self._consumer: AIOKafkaConsumer | None = None
        self._beat = time.monotonic()
        self._wall = time.time()
        self._woke = 0.0
        self.order_counts: dict[str, int] = {}
        self.execution_counts: dict[str, int] = {}
        """By status."""

    # -- what it knows

    def tops(self) -> list[TopOfBook]:
        return [self._decode_top(self._tops[place][1]) for place in sorted(self._tops)]

    def top(self, exchange: str, symbol: str) -> TopOfBook | None:
        known = self._tops.get((exchange, symbol))
        return self._decode_top(known[1]) if known else None

    def trades(self, symbol: str, limit: int) -> list[Trade]:
        """Newest first."""
        return list(self._trades.get(symbol, ()))[-limit:][::-1]

    def orders(self, limit: int) -> list[KnownOrder]:
        """Newest first."""
        whole = (known for known in reversed(self._orders.values()) if known.order is not None)
        return list(itertools.islice(whole, limit))

    def order(self, order_id: str) -> KnownOrder | None:
        known = self._orders.get(order_id)
        return known if known is not None and known.order is not None else None

    def executions(self, limit: int) -> list[Execution]:
        """Newest first."""
        return list(self._executions)[-limit:][::-1]

    def positions(self) -> list[PositionRecord]:
        return [self._positions[place] for place in sorted(self._positions)]

    def age(self) -> float:
        """Seconds since Kafka last answered for every partition: how old the lists may be, at the most."""
        asleep = time.monotonic() - self._beat
        if asleep > PAUSE:
            return asleep
        consumer = self._consumer
        partitions = consumer.assignment() if consumer else ()
        if not consumer or not partitions:
            return math.inf
        oldest = min((consumer.last_poll_timestamp(partition) or 0) / 1000 for partition in partitions)
        now = time.time()
        return max(0.0, now - oldest) if self._woke < oldest <= now + PAUSE else math.inf

    def note_beat(self) -> None:
        """The event loop turns; after a pause, or a step of the clock, nothing counts that may have been asked for
        before it."""
        now, wall = time.monotonic(), time.time()
        passed = now - self._beat
        if passed > PAUSE or abs(wall - self._wall - passed) > PAUSE:
            self._woke = wall + MAX_DELAY_MS / 2000
        self._beat, self._wall = now, wall

    @Service.task
    async def _keep_beating(self) -> None:
        while not self.should_stop:
            self.note_beat()
            await asyncio.sleep(PAUSE / 5)

    # -- reading

    @Service.task
    async def _follow(self) -> None:
        # It reads all that the market agents publish: in few large fetches, so as not to slow them down.
        consumer = AIOKafkaConsumer(
            **self._client,
            enable_auto_commit=False,
            fetch_min_bytes=MAX_FETCH,
            fetch_max_wait_ms=MAX_DELAY_MS,
            key_deserializer=RunTopics(self._handlers),
        )
        await consumer.start()
        try:
            await self._assign(consumer)
            self._consumer = consumer
            while not self.should_stop:
                for partition, runs in (await consumer.getmany(timeout_ms=500, max_records=4)).items():
                    for run in runs:
                        self._read(partition, run)
                await asyncio.sleep(0)
        finally:
            self._consumer = None
            await consumer.stop()

    def _read(self, partition: TopicPartition, run: list[Any]) -> None:
        handler = self._handlers[partition.topic]
        if partition.topic == topics.TOP_OF_BOOK:  # most of what there is
            with suppress(msgspec.MsgspecError, TypeError, ValueError):
                self._tops_of_book([record.value for record in run])
                return
        for record in run:
            try:
                handler(record.offset, record.value)
            except (msgspec.MsgspecError, TypeError) as error:
                log.warning("unusable record %s/%d@%d: %s", *partition, record.offset, error)

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        partitions = []
        for topic in self._handlers:
            found = await consumer._client._wait_on_metadata(topic)
            partitions += [TopicPartition(topic, partition) for partition in found]
        consumer.assign(partitions)
        since = int(time.time() * 1000) - LOOKBACK_MS
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            if partition.topic == topics.CONTROL:  # what was said holds until something else is said
                await consumer.seek_to_beginning(partition)
                continue
            found_start = starts.get(partition)
            consumer.seek(partition, found_start.offset if found_start else ends[partition])

    def _top_of_book(self, offset: int, value: bytes) -> None:
        self._note_top(self._decode_version(value), value)

    def _tops_of_book(self, values: list[bytes]) -> None:
        for top, value in zip(self._decode_versions(b"[%b]" % b",".join(values)), values, strict=True):
            self._note_top(top, value)

    def _note_top(self, top: _Version, value: bytes) -> None:
        place, version = (top.exchange, top.symbol), (top.epoch, top.sequence, top.event_time)
        known = self._tops.get(place)
        # A worker that lost the partition may still have sent an older one.
        if known is None or version >= known[0]:
            self._tops[place] = version, value

    def _trade(self, offset: int, value: bytes) -> None:
        trade = self._decode_trade(value)
        number = (trade.epoch, trade.sequence)
        if number > self._last_trade.get((trade.exchange, trade.symbol), (-1, -1)):  # else: sent again
            self._last_trade[trade.exchange, trade.symbol] = number
            self._trades.setdefault(trade.symbol, deque(maxlen=MAX_TRADES)).append(trade)

    def _order(self, offset: int, value: bytes) -> None:
        order = self._decode_order(value)
        known = self._known(order.order_id)
        before = known.order if order.command == "NEW" else known.cancel
        if before is not None:
            # A plain agent knows nothing of a cancel that is under way, and may ask for one as well.
            agents = "agent" in (before.cause.kind, order.cause.kind)
            self.conflicting_orders += before != order and not agents
        elif order.command == "CANCEL":
            known.cancel = order
        else:
            known.order = order
            self.order_counts[order.strategy] = self.order_counts.get(order.strategy, 0) + 1

    def _execution(self, offset: int, value: bytes) -> None:
        execution = self._decode_execution(value)
        known = self._known(execution.order_id)
        if not known.executions or execution.number > known.executions[-1].number:  # else: sent again
            known.executions.append(execution)
            self._executions.append(execution)
            self.execution_counts[execution.status] = self.execution_counts.get(execution.status, 0) + 1

    def _known(self, order_id: str) -> KnownOrder:
        known = self._orders.get(order_id)
        if known is None:
            known = self._orders[order_id] = KnownOrder()
            if len(self._orders) > MAX_ORDERS:
                self._orders.popitem(last=False)
        return known

    def _position(self, offset: int, value: bytes) -> None:
        position = self._decode_position(value)
        place = position.exchange, position.symbol
        known = self._positions.get(place)
        if known is None or position.event_time >= known.event_time:
            self._positions[place] = position

    def _dead_letter(self, offset: int, value: bytes) -> None:
        msgspec.json.decode(value, type=DeadLetter)
        self.dead_letters += 1

    def _claim(self, offset: int, value: bytes) -> None:
        if self._on_claim is not None:
            self._on_claim(offset, msgspec.json.decode(value, type=FeedClaim))

    def _control(self, offset: int, value: bytes) -> None:
        said = msgspec.json.decode(value, type=Terms | Steer)
        if isinstance(said, Steer):
            if self._on_steer is not None:
                self._on_steer(offset, said)
        elif self._on_terms is not None:
            self._on_terms(offset, said)
