"""The views of the system: feeds, whether this worker lives and is ready, and what it has done."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta

from tradeflow.market import Market
from tradeflow.metrics.stats import stats
from tradeflow.web.pages import page
from tradeflow.web.paging import part_of
from tradeflow.web.parameters import Paged, Query
from tradeflow.web.peers import forwarded, of_all_workers, recovered
from tradeflow.web.problems import LOST_CURSOR, NOT_READY, Problem
from tradeflow.web.served import FeedList, FeedStatus, Health, Ready, WorkerStats
from tradeflow.wiring import (
    app,
    feed_outbox,
    feed_service,
    markets,
    outbox,
    owned_partitions,
    tail,
)


@page("/feeds", LOST_CURSOR)
async def feeds(request: web.Request, query: Paged) -> FeedList:
    """The feeds of all workers of this group, and which workers don't answer."""
    every = await all_feeds(forwarded=forwarded(request))
    every.feeds, every.next = part_of(every.feeds, query, lambda feed: str(feed["feed"]))
    return every


async def all_feeds(*, forwarded: bool = False) -> FeedList:
    own: list[FeedStatus] = feed_service.status()  # type: ignore[assignment]
    found, silent = await of_all_workers("feeds", own, FeedStatus, forwarded=forwarded)
    return FeedList(sorted(found, key=lambda feed: feed["feed"]), silent, None)


@page("/health")
async def health(request: web.Request) -> Health:
    """200 while the process lives and its event loop turns."""
    return Health("ok", feed_service.worker)


@page("/ready", NOT_READY)
async def ready(request: web.Request) -> Ready:
    """200 once the tables are loaded and the partitions are shared out, else 503."""
    if not recovered() or app.rebalancing:
        detail = "tables are being loaded or partitions shared out; ask again in a second"
        raise Problem(NOT_READY, detail)
    return Ready("ready", sorted(owned_partitions()))


class StatsQuery(Query, frozen=True, kw_only=True):
    seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="How many of the last ones the latencies are of; 0: all.")
    ] = 0


@page("/stats")
async def show_stats(request: web.Request, query: StatsQuery) -> WorkerStats:
    """Counts of this worker since it started (orders and dead letters: of all workers), and its latencies."""
    return worker_stats(float(query.seconds) or None)


def worker_stats(seconds: float | None, newest: int | None = None) -> WorkerStats:
    """`newest`: how many latencies are sorted at the most."""
    owned = markets.owned()
    stages: dict[str, Any] = {
        stage: timing.summary_ms(seconds, newest) for stage, timing in stats.stages.items()
    }
    counts: dict[str, Any] = {str(partition): market.counts for partition, market in owned.items()}
    return WorkerStats(
        worker=feed_service.worker,
        uptime_s=round(time.time() - stats.started, 1),
        latency_ms=stages["acknowledged"],
        stages_ms=stages,
        feed_lag_ms=_feed_lag_ms(owned.values()),
        orders=tail.order_counts,
        executions=tail.execution_counts,
        conflicting_orders=tail.conflicting_orders,
        dead_letters=tail.dead_letters,
        markets=counts,
        checkpoints={"count": markets.checkpoints, "last_seconds": round(markets.checkpoint_seconds, 4)},
        unacknowledged_bytes=outbox.pending_bytes + feed_outbox.pending_bytes,
    )


def _feed_lag_ms(markets: Iterable[Market]) -> dict[str, float]:
    """By exchange, from its own time of a book's last record to its arrival; the median of the books."""
    lags: dict[str, list[float]] = {}
    for market in markets:
        for book in market.books.values():
            if book.exchange_time:
                lags.setdefault(book.exchange, []).append((book.receipt_time - book.exchange_time) / 1e6)
    return {exchange: round(statistics.median(found), 3) for exchange, found in sorted(lags.items())}
