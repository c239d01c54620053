"""The pipeline: raw → normalize → market-events → market → top-of-book, trades, orders …; feeds beside it.

Orders come back: orders → risk → market-events, where the market decides and executes them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from tradeflow import topics, wiring
from tradeflow.messages import Clock, Command
from tradeflow.metrics.stats import stats
from tradeflow.normalize import NormalizeError, normalize
from tradeflow.wiring import agent, app, changes, feed_service, maps, markets, outbox, steering
from tradeflow.worker.dead_letters import dead_letter
from tradeflow.worker.runs import Run

encode = msgspec.json.Encoder().encode

NOTED: dict[str, Callable[[bytes, Any], None]] = {
    topics.ORDERS: stats.order_sent,
    topics.EXECUTIONS: stats.execution_sent,
}
"""What is counted of outputs."""

CLOCK_INTERVAL = 0.25
"""Seconds: by so much silence may be marked too late, for what moves event time may be the clock alone."""


async def normalize_raw(runs: Any) -> None:
    """Each exchange's raw records, made canonical, into the one log of their symbol's partition."""
    partitions = maps.symbols
    async for run in runs:
        made: defaultdict[int, list[tuple[str, bytes, bytes]]] = defaultdict(list)
        for raw, record in zip(run.messages, run.records, strict=True):
            try:
                event = normalize(raw)
                partition = partitions[event.symbol]
            except (NormalizeError, KeyError) as error:
                dead_letter(outbox, run, record, f"{type(error).__name__}: {error}")
            else:
                made[partition].append((topics.MARKET_EVENTS, event.symbol.encode(), encode(event)))
        for partition, events in made.items():
            outbox.extend(topics.MARKET_EVENTS, partition, events)
        stats.normalized(run.messages)
        bury(run)
        await outbox.room()


for raw_topic in wiring.raw_topics:
    agent(raw_topic, f"normalize-{raw_topic.topics[0]}", role="strategies")(normalize_raw)


@agent(wiring.market_events_topic, "market", role="strategies")
async def market(runs: Any) -> None:
    """Books, strategies and their outputs, event by event; a cut falls only between two runs."""
    async for run in runs:
        partition = run.partition
        live, first = markets[partition], markets.first_new(partition)
        live.want_changes = changes.wanted
        began = time.perf_counter()
        for event, record in zip(run.messages, run.records, strict=True):
            if (offset := record.offset) >= first:
                live.apply(event, offset, record.timestamp * 1_000_000)
        stats.applied(run.messages, time.perf_counter() - began)
        for topic, outputs in groupby(live.take_outputs(), key=itemgetter(0)):
            note = NOTED.get(topic)
            if note is None:
                outbox.extend(topic, partition, outputs)
                continue
            for _, key, value in outputs:
                note(value, outbox.append(topic, partition, key, value))
        for request in live.take_resyncs():
            wiring.ask_for_resync(request)
        changes.publish(live.take_changes())
        markets.applied(partition, run.last_offset)
        bury(run)
        await outbox.room()


@agent(wiring.orders_topic, "risk", role="strategies")
async def risk(runs: Any) -> None:
    """The door: orders into the log, where the gate decides at their place in it.  Shadows' end here."""
    async for run in runs:
        steering.copy(run.partition)  # an operator's word goes before every order that comes after it
        now = time.time_ns()
        for order, record in zip(run.messages, run.records, strict=True):
            if reason := wiring.misplaced(order, run.partition):
                dead_letter(outbox, run, record, reason)
            elif not order.shadow:
                command = Command(order=order, offset=record.offset, receipt_time=now)
                outbox.append(topics.MARKET_EVENTS, run.partition, order.symbol.encode(), encode(command))
        bury(run)
        await outbox.room()


@agent(wiring.assignments_topic, "feeds", role="feeds")
async def feeds(runs: Any) -> None:
    """Resync requests for the feeds whose partitions this worker owns."""
    async for run in runs:
        for request in run.messages:
            feed_service.resync(request)
        bury(run)


def bury(run: Run) -> None:
    for record, reason in run.unusable:
        dead_letter(outbox, run, record, reason)


@app.timer(CLOCK_INTERVAL, name="clock")  # type: ignore[untyped-decorator]
async def clock() -> None:
    """Event time moves on in every partition that this worker owns, even where nothing else happens."""
    if not app.rebalancing:
        now = encode(Clock(receipt_time=time.time_ns()))
        for partition in wiring.owned_partitions():
            markets.load(partition)  # its books are served before their next event
            steering.copy(partition)
            outbox.append(topics.MARKET_EVENTS, partition, b"", now)
