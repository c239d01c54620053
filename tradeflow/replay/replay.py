"""`Replay`: a recorded log through the Market that made it, on the log's own clock; pure.

There is no venue: what became of orders is in the log.  So the same orders and verdicts must come out, and are
compared with the recorded ones as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from tradeflow import messages
from tradeflow.market import Market
from tradeflow.recording.form import Header, Record
from tradeflow.replay.comparison import Comparison, Verdict

Tell = Callable[[int, str, int, bytes], None]


class _Cause(msgspec.Struct):
    kind: str


class _Order(msgspec.Struct):
    order_id: str
    event_time: int
    cause: _Cause
    command: str = "NEW"


class _Execution(msgspec.Struct):
    execution_id: str
    number: int
    receipt_time: int


class Replay:
    """`create(partition)` makes the empty Market of a partition, with the strategies and the gate that it had."""

    def __init__(self, header: Header, create: Callable[[int], Market]) -> None:
        self._create = create
        self._first = header.first.get("market-events", {})
        self.markets: dict[int, Market] = {}
        self.orders = Comparison()
        self.verdicts = Comparison()
        self.events = 0
        self.unusable = 0
        """Records of the log, and orders, that a worker makes dead letters of."""
        self._state: dict[int, dict[tuple[str, str], bytes]] = {}
        self._began: dict[int, int] = {}
        """Event time at which a partition began, where its state is known."""
        self._last_recorded: dict[int, int] = {}
        """Event time of the last recorded order or verdict of a partition."""
        self._decode = msgspec.json.Decoder(messages.MarketEvent).decode
        self._decode_order = msgspec.json.Decoder(_Order).decode
        self._decode_execution = msgspec.json.Decoder(_Execution).decode

    def apply(self, records: Iterable[Record]) -> None:
        """Records in the order in which they were recorded; partitions may be mixed in any way."""
        for record in records:
            topic, partition, value = record.topic, record.partition, record.value
            if topic == "market-events":
                self._event(record, value or b"")
            elif topic == "checkpoint":
                table, _, key = (record.key or b"").decode().partition("/")
                self._state.setdefault(partition, {})[table, key] = value or b""
            elif topic == "orders":
                self._order(self.orders.recorded, partition, value or b"")
            elif topic == "executions":
                self._execution(self.verdicts.recorded, partition, value or b"")

    def finish(self, settled: bool = True) -> tuple[Verdict, Verdict]:
        """(orders, verdicts) compared.  `settled`: all that the log caused was in Kafka when it was recorded."""

        def bounds(partition: int) -> tuple[int, int] | None:
            began, market = self._began.get(partition), self.markets.get(partition)
            if began is None or market is None:
                return None
            return began, market.event_time if settled else self._last_recorded.get(partition, 0)

        return self.orders.verdict(bounds), self.verdicts.verdict(bounds)

    @property
    def unknown(self) -> list[int]:
        """Partitions whose state at their first record isn't known."""
        return sorted(self.markets.keys() - self._began.keys())

    def _market(self, partition: int) -> Market:
        market = self.markets.get(partition)
        if market is None:
            market = self.markets[partition] = self._create(partition)
            state = self._state.pop(partition, None)
            if state is not None:
                market.restore(lambda table, key: state.get((table, key)))
            if state is not None or self._first.get(partition) == 0:
                self._began[partition] = market.event_time if state else -1
        return market

    def _event(self, record: Record, value: bytes) -> None:
        partition = record.partition
        market = self.markets.get(partition) or self._market(partition)
        try:
            event = self._decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.unusable += 1
            return
        self.events += 1
        market.apply(event, record.offset, record.appended)
        for output in market.take_outputs():
            if output.topic == "orders":
                self._order(self.orders.replayed, partition, output.value)
            elif output.topic == "executions":
                self._execution(self.verdicts.replayed, partition, output.value)
        market.take_resyncs()

    def _order(self, tell: Tell, partition: int, value: bytes) -> None:
        try:
            order = self._decode_order(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # whoever wrote it
            self.unusable += 1
            return
        if (
            order.cause.kind == "agent"
        ):  # a plain agent's own: its command is in the log, and is decided on again
            return
        self._note(tell, partition, order.event_time)
        tell(partition, f"{order.order_id}/{order.command}", order.event_time, value)

    def _execution(self, tell: Tell, partition: int, value: bytes) -> None:
        execution = self._decode_execution(value)
        if execution.number < 0:  # the gate's; a venue's are read, not made
            self._note(tell, partition, execution.receipt_time)
            tell(partition, execution.execution_id, execution.receipt_time, value)

    def _note(self, tell: Tell, partition: int, event_time: int) -> None:
        if tell in (self.orders.recorded, self.verdicts.recorded):
            self._last_recorded[partition] = max(event_time, self._last_recorded.get(partition, 0))
