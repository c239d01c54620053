"""`/metrics`: what Prometheus scrapes of this worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tradeflow.metrics.exposition import Sample, of_feeds, of_lag, of_markets, of_redis, of_stats, registry
from tradeflow.metrics.stats import stats
from tradeflow.web.dashboard import live
from tradeflow.web.pages import page
from tradeflow.wiring import app, books, feed_outbox, feed_service, markets, outbox, redis_writer, tail


def _of_worker() -> Iterator[Sample]:
    recovery: Any = app.tables.recovery  # type: ignore[attr-defined]
    if recovery._recovery_started_at and recovery._recovery_ended_at:
        loading = recovery._recovery_ended_at - recovery._recovery_started_at
        yield "tradeflow_recovery_seconds", (), max(0.0, loading)
    yield "tradeflow_books_served", (), len(books)
    yield "tradeflow_checkpoint_seconds", (), (markets.checkpoints, markets.all_checkpoint_seconds)
    yield "tradeflow_unacknowledged_bytes", ("pipeline",), outbox.pending_bytes
    yield "tradeflow_unacknowledged_bytes", ("feeds",), feed_outbox.pending_bytes
    yield "tradeflow_tail_age_seconds", (), tail.age()
    yield "tradeflow_conflicting_orders_total", (), tail.conflicting_orders
    yield "tradeflow_stream_clients", (), live.clients
    yield "tradeflow_stream_dropped_total", (), live.dropped
    yield "tradeflow_stream_refused_total", (), live.refused


def _consumer_lag() -> Iterator[Sample]:
    consumer: Any = app.consumer
    yield from of_lag(consumer.lag())


everything = registry(
    lambda: of_markets(markets.owned().values(), time.time_ns()),
    lambda: of_feeds(feed_service.status(), time.time_ns()),
    lambda: of_stats(stats),
    _consumer_lag,
    _of_worker,
    lambda: of_redis(redis_writer) if redis_writer else (),
)


@page("/metrics", media=("text/plain",))
async def metrics(request: web.Request) -> web.Response:
    """Metrics of this worker, in Prometheus' text format."""
    return web.Response(body=generate_latest(everything), headers={"Content-Type": CONTENT_TYPE_LATEST})
