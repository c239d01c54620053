"""`Backtest`: a recorded log through markets with a gate and a paper exchange of their own; pure, in flat memory.

What strategies order reaches the gate at once, what the venue reports comes back when its event time has come: both
through the log, as live, with no Kafka in between.  Commands, executions and operators' words of the recording are
left out: they are another run's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from tradeflow.backtest.fills import Fills
from tradeflow.backtest.ledger import Ledger
from tradeflow.backtest.result import BacktestResult, currency_result
from tradeflow.market import Market, Output
from tradeflow.market.loop import Loop
from tradeflow.messages import Command, Execution, MarketEvent, Order, Steer
from tradeflow.recording.form import Record
from tradeflow.replay.comparison import LogDigest

SECOND = 1_000_000_000


class _Order(msgspec.Struct):
    order_id: str
    command: str


class Backtest:
    """`create(partition)` makes the empty Market of a partition, with strategies, gate and venue.  `fills` is told of
    each order and execution."""

    def __init__(
        self, create: Callable[[int], Market], sample_seconds: float = 60.0, fills: Fills | None = None
    ) -> None:
        self._create = create
        self._told = fills
        self._interval = round(sample_seconds * SECOND)
        self._markets: dict[int, tuple[Loop, Ledger]] = {}
        self._decode = msgspec.json.Decoder(MarketEvent).decode
        self._decode_order = msgspec.json.Decoder(_Order).decode
        self._decode_execution = msgspec.json.Decoder(Execution).decode
        self._digest = LogDigest()
        self._filled: set[str] = set()
        self.events = 0
        self.unusable = 0
        self._first = 0
        self._cancels = 0
        self._statuses: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()
        self._fills = 0

    def apply(self, records: Iterable[Record]) -> None:
        """Records of a recording, in their order; those of other topics are passed over."""
        decode, markets = self._decode, self._markets
        for record in records:
            if record.topic != "market-events":
                continue
            try:
                event = decode(record.value or b"")
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self.unusable += 1
                continue
            if type(event) in (Command, Execution, Steer):
                continue
            known = markets.get(record.partition)
            if known is None:
                known = markets[record.partition] = self._new(record.partition)
                self._first = min(self._first or event.receipt_time, event.receipt_time)
            loop, ledger = known
            self.events += 1
            log, said = loop.apply(event, record.appended)
            if said:
                self._hear(said)
            for looped in log[1:]:
                if type(looped) is Execution and looped.last_size is not None:
                    ledger.fill(looped)
            market = loop.market
            if market.event_time >= ledger.due:
                ledger.sample()
                market.take_resyncs()

    def result(self, strategies: list[dict[str, object]]) -> BacktestResult:
        """To be asked once, at the end; `strategies`: what ran, for the report."""
        markets = [loop.market for loop, _ in self._markets.values()]
        ledgers = [ledger for _, ledger in self._markets.values()]
        for ledger in ledgers:
            ledger.sample()
        times, curves = _merged([ledger.samples for ledger in ledgers])
        books = [book for ledger in ledgers for book in ledger.books()]
        turnover = {currency: Decimal(0) for currency in curves}
        for book in books:
            turnover[book.currency] += Decimal(book.turnover)
        submitted = self._statuses["SUBMITTED"]
        return BacktestResult(
            strategies=strategies,
            events=self.events,
            first_event=self._first,
            last_event=max((market.event_time for market in markets), default=0),
            orders=self._digest.count - self._cancels,
            orders_sha256=self._digest.sha256(),
            cancels=self._cancels,
            denied=dict(sorted(self._denied.items())),
            submitted=submitted,
            ended={
                status: self._statuses[status] for status in ("FILLED", "CANCELED", "EXPIRED", "REJECTED")
            },
            fills=self._fills,
            fill_ratio=round(len(self._filled) / submitted, 6) if submitted else None,
            halted=[
                f"{run.strategy.name} on {'+'.join(run.symbols)}: {run.halted}"
                for market in markets
                for run in market.runs
                if run.halted
            ],
            sample_seconds=self._interval / SECOND,
            times=times,
            currencies={
                currency: currency_result(curve, turnover[currency], self._interval / SECOND)
                for currency, curve in sorted(curves.items())
            },
            books=sorted(books, key=lambda book: (book.exchange, book.symbol)),
        )

    def _new(self, partition: int) -> tuple[Loop, Ledger]:
        market = self._create(partition)
        return Loop(market), Ledger(market, self._interval)

    def _hear(self, said: Iterable[Output]) -> None:
        for topic, _, value in said:
            if topic == "orders":
                order = self._decode_order(value)
                self._digest.add(f"{order.order_id}/{order.command}", value)
                self._cancels += order.command == "CANCEL"
                if self._told is not None:
                    self._told.order(msgspec.json.decode(value, type=Order))
            elif topic == "executions":
                execution = self._decode_execution(value)
                self._note(execution)
                if self._told is not None:
                    self._told.execution(execution)

    def _note(self, execution: Execution) -> None:
        self._statuses[execution.status] += 1
        if execution.status == "DENIED":
            self._denied[execution.reason_code] += 1
        if execution.last_size is not None:
            self._fills += 1
            self._filled.add(execution.order_id)


def _merged(samples: list[dict[int, dict[str, Decimal]]]) -> tuple[list[int], dict[str, list[Decimal]]]:
    """(times, currency → curve) of all partitions together; where one has no sample its last one counts."""
    times = sorted({time for some in samples for time in some})
    currencies = {currency for some in samples for totals in some.values() for currency in totals}
    curves: dict[str, list[Decimal]] = {currency: [] for currency in currencies}
    last: list[dict[str, Decimal]] = [{} for _ in samples]
    for time in times:
        for number, some in enumerate(samples):
            last[number] = some.get(time, last[number])
        for currency, curve in curves.items():
            curve.append(sum((totals.get(currency, Decimal(0)) for totals in last), Decimal(0)))
    return times, curves
