"""Why an order was sent: the event, the books that its strategy saw, its parameters, what became of it, and when.

All of it is read from Kafka: so any worker, and the command line, tell the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from tables.order_books import OrderBook
from tradeflow import topics
from tradeflow.cluster.reader import KafkaReader
from tradeflow.history.past import NotRetained, Past
from tradeflow.history.rebuild import AtCause, NeverThere
from tradeflow.messages import (
    BookRecord,
    Execution,
    Level,
    MarketEvent,
    Order,
    Trade,
)
from tradeflow.partitions import PartitionMaps
from tradeflow.recording.form import Record
from tradeflow.strategies import Strategy, StrategyError
from tradeflow.strategies.parameters import from_text, with_parameters

SLACK_MS = 60_000
"""By how much clocks, and what was written again after a crash, may put a record before its event."""
MAX_ORDERS = 1_000_000
"""Orders a partition that are looked through for one of which nothing but its id is known."""


class UnknownOrder(LookupError):
    """Topic `orders` holds no order of this id (any more)."""


class SeenBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book as the strategy saw it."""

    exchange: str
    symbol: str
    state: str
    reason: str
    epoch: int
    sequence: int
    exchange_sequence: int | None
    exchange_time: int | None
    receipt_time: int
    offset: int
    levels: tuple[int, int]
    bids: list[Level]
    asks: list[Level]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the way from the exchange to the last execution."""

    stage: str
    time: int
    """Nanoseconds; of Kafka's own timestamps, which are the writer's clock, to the millisecond."""
    by: str
    """What says so."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    order: Order
    canceled_by: Order | None
    """The CANCEL command, if there was one."""
    event: MarketEvent | None
    """The cause; None for a timer, and a plain agent's own decision."""
    event_time: int
    offset: int
    """In `market-events`, of the last event that the strategy knew of."""
    partition: int
    books: list[SeenBook]
    parameters: dict[str, Any] | None
    """None: no known set of parameters has the order's hash (strategies.toml or the code has changed since)."""
    executions: list[Execution]
    """The gate's verdict first."""
    stages: list[Stage]
    missing: list[str]
    """What Kafka no longer holds of it."""


class Deployment(NamedTuple):
    """What a worker is started with."""

    maps: PartitionMaps
    books: list[tuple[str, str]]
    strategies: list[Strategy]
    market_options: dict[str, Any]
    """`silence_ns` and `max_jump`."""


async def explain(
    reader: KafkaReader, deployment: Deployment, order_id: str, known: Order | None = None, depth: int = 20
) -> Explanation:
    """Of an order that is (`known`) or isn't among the last ones.  Raises UnknownOrder."""
    return await _Inquiry(reader, deployment, order_id, depth).answer(known)


class _Inquiry:
    def __init__(self, reader: KafkaReader, deployment: Deployment, order_id: str, depth: int) -> None:
        self._reader = reader
        self._past = Past(reader, deployment.market_options)
        self._maps, self._books = deployment.maps, deployment.books
        self._strategies = deployment.strategies
        self._order_id, self._id = order_id, order_id.encode()
        self._depth = depth
        self._stages: list[Stage] = []
        self._missing: list[str] = []

    async def answer(self, known: Order | None) -> Explanation:
        partition, order, sent = await self._order(known)
        event, event_time, offset, books = None, order.event_time, -1, []
        symbols = {order.symbol, order.cause.symbol or order.symbol}
        served = [place for place in self._books if place[1] in symbols]
        try:
            moment = await self._past.moment(partition, served, AtCause(order.cause, order.event_time), True)
        except (NotRetained, NeverThere) as error:
            self._missing.append(f"the books that it saw: {error}")
        else:
            event, event_time, offset = moment.event, moment.rebuild.event_time, moment.offset
            books = [_seen(moment.rebuild.book(*place), self._depth) for place in served]
            await self._before(event, moment.timestamp)
        self._note("order", sent.timestamp * 1_000_000, topics.ORDERS)
        executions = await self._after(partition, sent.timestamp)
        return Explanation(
            order=order,
            canceled_by=await self._cancel(partition, sent.timestamp),
            event=event,
            event_time=event_time,
            offset=offset,
            partition=partition,
            books=books,
            parameters=await self._parameters(order),
            executions=executions,
            stages=self._stages,
            missing=self._missing,
        )

    async def _order(self, known: Order | None) -> tuple[int, Order, Record]:
        """Partition, order, and its record in Kafka."""
        numbers = [tp.partition for tp in await self._reader.partitions([topics.ORDERS])]
        since = 0
        if known is not None:
            numbers, since = [self._maps.symbols[known.symbol]], known.event_time // 1_000_000 - SLACK_MS
        for number in numbers:
            record = await self._past.find(topics.ORDERS, number, since, self._is_new_order, MAX_ORDERS)
            if record is not None:
                return number, msgspec.json.decode(record.value or b"", type=Order), record
        raise UnknownOrder(f"topic {topics.ORDERS} holds no order {self._order_id!r} (any more)")

    def _is_new_order(self, record: Record) -> bool:
        return self._names_it(record) and b'"command":"NEW"' in (record.value or b"")

    def _names_it(self, record: Record) -> bool:
        return self._id in (record.value or b"")

    async def _before(self, event: MarketEvent | None, timestamp: int) -> None:
        """The way of the cause, from the exchange to the log, and to those who read books."""
        if not isinstance(event, BookRecord):
            if event is not None:
                self._note("market-events", timestamp * 1_000_000, topics.MARKET_EVENTS)
            return
        exchange_time = getattr(event, "exchange_time", None)
        if exchange_time is not None:
            self._note("exchange", exchange_time, f"{event.exchange}'s own clock")
        self._note("receipt", event.receipt_time, "the feed's clock")
        since = event.receipt_time // 1_000_000 - SLACK_MS
        raw_topic = (topics.trades_topic if type(event) is Trade else topics.orderbook_topic)(event.exchange)
        raw_partition = self._maps.exchanges[event.exchange][event.symbol]
        number = f'"epoch":{event.epoch},"sequence":{event.sequence},'.encode()

        def is_it(record: Record) -> bool:
            return number in (record.value or b"") and (record.key or b"").decode() == event.symbol

        raw = await self._past.find(raw_topic, raw_partition, since, is_it)
        if raw is None:
            self._missing.append(f"its raw record in {raw_topic}")
        else:
            self._note("raw", raw.timestamp * 1_000_000, raw_topic)
        self._note("market-events", timestamp * 1_000_000, topics.MARKET_EVENTS)
        if type(event) is not Trade:
            partition = self._maps.symbols[event.symbol]

            def is_top(record: Record) -> bool:
                return is_it(record) and f'"exchange":"{event.exchange}"'.encode() in (record.value or b"")

            # Where the touch stayed the same, no top was published.
            top = await self._past.find(topics.TOP_OF_BOOK, partition, timestamp, is_top, 5_000)
            if top is not None:
                self._note("book", top.timestamp * 1_000_000, topics.TOP_OF_BOOK)

    async def _after(self, partition: int, sent: int) -> list[Execution]:
        """The way of the order: to the gate's door, its verdict, the executions."""
        command = await self._past.find(
            topics.MARKET_EVENTS,
            partition,
            sent - 1_000,
            lambda record: self._names_it(record) and b'"type":"command"' in (record.value or b""),
        )
        if command is not None:
            self._note("gate's door", command.timestamp * 1_000_000, topics.MARKET_EVENTS)
        found: dict[str, Execution] = {}
        records = await self._past.find_all(topics.EXECUTIONS, partition, sent - 1_000, self._names_it)
        for record in records:
            execution = msgspec.json.decode(record.value or b"", type=Execution)
            if execution.order_id == self._order_id and execution.execution_id not in found:
                found[execution.execution_id] = execution
                name = "gate" if execution.number < 0 else "execution"
                self._note(f"{name}: {execution.status}", record.timestamp * 1_000_000, topics.EXECUTIONS)
        return sorted(found.values(), key=lambda one: one.number)

    async def _cancel(self, partition: int, sent: int) -> Order | None:
        record = await self._past.find(
            topics.ORDERS,
            partition,
            sent - 1_000,
            lambda record: self._names_it(record) and b'"command":"CANCEL"' in (record.value or b""),
        )
        return None if record is None else msgspec.json.decode(record.value or b"", type=Order)

    async def _parameters(self, order: Order) -> dict[str, Any] | None:
        """Those with the order's hash, of all that the strategy has had: as it is started, and after each change."""
        if order.cause.kind == "agent":  # it has none
            return {}
        strategy = next((one for one in self._strategies if one.name == order.strategy), None)
        if strategy is None:
            return None
        words = await self._past.find_all(
            topics.CONTROL, 0, 0, lambda record: b'"action":"parameters"' in (record.value or b"")
        )
        for candidate in _versions(strategy, words):
            if candidate.params_hash == order.params_hash:
                return {
                    field.name: msgspec.to_builtins(getattr(candidate, field.name))
                    for field in msgspec.structs.fields(candidate)
                }
        return None

    def _note(self, stage: str, time: int, by: str) -> None:
        self._stages.append(Stage(stage=stage, time=time, by=by))


def _versions(strategy: Strategy, words: Iterable[Record]) -> Iterable[Strategy]:
    yield strategy
    for record in words:
        steer = msgspec.json.decode(record.value or b"", type=_Parameters)
        if steer.strategy == strategy.name:
            try:
                strategy = with_parameters(strategy, from_text(strategy, steer.parameters))
            except StrategyError:
                continue  # refused where it ran as well
            yield strategy


class _Parameters(msgspec.Struct):
    """What is needed of a Steer, before it has an offset."""

    strategy: str = ""
    parameters: dict[str, str] = {}


def _seen(book: OrderBook, depth: int) -> SeenBook:
    bids, asks = book.book.top(depth)
    return SeenBook(
        exchange=book.exchange,
        symbol=book.symbol,
        state=book.state,
        reason=book.reason,
        epoch=book.epoch,
        sequence=book.sequence,
        exchange_sequence=book.exchange_sequence,
        exchange_time=book.exchange_time,
        receipt_time=book.receipt_time,
        offset=book.offset,
        levels=book.book.depth,
        bids=bids,
        asks=asks,
    )
