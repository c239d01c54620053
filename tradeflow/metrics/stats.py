"""What this process has done, for `/stats`, `/metrics` and the demo's summary: counts and latencies.

Everything here is noted once a run of records, or once an order: nothing for each delta."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from tradeflow.messages import Delta, MarketEvent, Raw, RawBook, RawTrade, Snapshot, Trade
from tradeflow.metrics.timing import Histogram, Timing
from tradeflow.worker.outbox import Sent

STAGES = ("normalized", "applied", "acknowledged")
"""A record's way, each counted from its arrival at our socket: normalized, applied to its book, and the order
that it caused acknowledged by the broker."""

KEPT_ORDERS = 100_000
"""Latencies of orders that are kept, for the summary of a long run."""
RUN_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
UPDATE_SECONDS = (2.5e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1)

# Heartbeats and clocks tell of moments that have passed already when they are written.
_TIMED = frozenset({RawBook, RawTrade, Delta, Snapshot, Trade})


class _Order(msgspec.Struct):
    strategy: str
    event_time: int


class _Execution(msgspec.Struct):
    status: str
    reason_code: str = ""


class Stats:
    def __init__(self) -> None:
        self.started = time.time()
        self.stages = {"normalized": Timing(), "applied": Timing(), "acknowledged": Timing(KEPT_ORDERS)}
        self.run_sizes = Histogram(RUN_SIZES)
        self.updates = Histogram(UPDATE_SECONDS)
        self.orders = Counter[str]()
        """Sent, by strategy."""
        self.executions = Counter[tuple[str, str]]()
        """Verdicts of the gate and reports of the venue, by (status, reason_code)."""
        self.dead_letters = Counter[str]()
        """Written, by the topic of the original."""
        self._decode_order = msgspec.json.Decoder(_Order).decode
        self._decode_execution = msgspec.json.Decoder(_Execution).decode

    def normalized(self, records: Sequence[Raw]) -> None:
        """A run of raw records has been normalized."""
        self._passed("normalized", records)

    def applied(self, events: Sequence[MarketEvent], seconds: float) -> None:
        """A run of events has been applied, strategies included, which took so long."""
        self._passed("applied", events)
        if events:
            self.run_sizes.observe(len(events))
            self.updates.observe(seconds / len(events), len(events))

    def order_sent(self, order: bytes, sent: asyncio.Future[Sent]) -> None:
        """Note how long an order took from its cause's arrival at our socket to the broker's acknowledgement."""
        caused = self._decode_order(order)
        self.orders[caused.strategy] += 1

        def acknowledged(_: asyncio.Future[Sent]) -> None:
            now = time.time_ns()
            self.stages["acknowledged"].observe(now - caused.event_time, now)

        sent.add_done_callback(acknowledged)

    def execution_sent(self, execution: bytes, _: asyncio.Future[Sent] | None = None) -> None:
        found = self._decode_execution(execution)
        self.executions[found.status, found.reason_code] += 1

    def latency_ms(self, seconds: float | None = None, newest: int | None = None) -> dict[str, Any]:
        """count, p50 and p99 of raw → order, in milliseconds, of the last `seconds`; None where there is none."""
        return self.stages["acknowledged"].summary_ms(seconds, newest)

    def _passed(self, stage: str, records: Sequence[Raw | MarketEvent]) -> None:
        """Of a run its oldest record counts: the one that has waited longest."""
        for record in records:
            if type(record) in _TIMED:
                now = time.time_ns()
                self.stages[stage].observe(now - record.receipt_time, now)
                return


stats = Stats()
