"""What Prometheus scrapes: every metric in one table, and what each part of a worker says of itself.

Nothing is counted here: samples are taken from counts that exist, when somebody scrapes.  All are about the
worker that is asked, so that sums over workers count everything once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from tables.order_books import OrderBook
from tradeflow.market import Market
from tradeflow.metrics.stats import STAGES, Stats
from tradeflow.metrics.timing import Histogram
from tradeflow.web.freshness import of_book

if TYPE_CHECKING:
    from tradeflow.redis.writer import RedisWriter

STATES = ("syncing", "live", "stale", "broken")
CONNECTED = ("connecting", "live")


class Description(NamedTuple):
    kind: Literal["counter", "gauge", "histogram", "summary"]
    labels: tuple[str, ...]
    says: str


def _counter(*labels: str, says: str) -> Description:
    return Description("counter", labels, says)


def _gauge(*labels: str, says: str) -> Description:
    return Description("gauge", labels, says)


def _histogram(*labels: str, says: str) -> Description:
    return Description("histogram", labels, says)


METRICS = {
    # names that users of such systems know
    "websocket_messages_total": _counter(
        "exchange", "feed", says="Book and trade records that this worker's feeds took from exchanges"
    ),
    "active_connections": _gauge("exchange", says="Connections to the exchange that stand"),
    "errors_total": _counter(
        "kind",
        says="What went wrong: reconnect, gap (a feed lost something of a book), publish (a record could not be sent),"
        " dead_letter",
    ),
    "order_book_update_duration_seconds": _histogram(
        says="Applying one event to its book, strategies included; the mean of its run, counted for each event"
    ),
    # books
    "tradeflow_books": _gauge("state", says="Books that this worker owns"),
    "tradeflow_books_served": _gauge(says="Books that all workers together serve, by the settings"),
    "tradeflow_book_live": _gauge(
        "exchange", "symbol", says="1 if the book is live, else 0; its owner has it"
    ),
    "tradeflow_book_age_seconds": _gauge(
        "exchange", "symbol", says="Since the book's last sign of life, heartbeats included"
    ),
    "tradeflow_book_levels": _gauge("exchange", "symbol", "side", says="Price levels in the book"),
    "tradeflow_book_records_total": _counter(
        "exchange",
        "kind",
        says="Records applied to books since this worker took their partitions: snapshots, deltas, trades",
    ),
    "tradeflow_duplicates_total": _counter(says="Records that had been applied before and changed nothing"),
    "tradeflow_gaps_total": _counter(says="Records that did not follow the last one of their book"),
    # feeds
    "tradeflow_feed_live": _gauge(
        "exchange", "feed", says="1 if the feed delivers and every book had its snapshot, else 0"
    ),
    "tradeflow_feed_silence_seconds": _gauge(
        "exchange", "feed", says="Since the feed's last book or trade record"
    ),
    "tradeflow_feed_reconnects_total": _counter("exchange", "feed", says="Connections after the first one"),
    "tradeflow_feed_resyncs_total": _counter("exchange", "feed", says="Books taken anew, one at a time"),
    "tradeflow_feed_lag_seconds": _gauge(
        "exchange",
        "symbol",
        says="From the exchange's own time of the book's last record to its arrival; the clocks' difference included",
    ),
    # the pipeline
    "tradeflow_consumer_lag_records": _gauge(
        "topic", "partition", says="Records that are in Kafka and not committed, as of the last fetch"
    ),
    "tradeflow_partitions": _gauge(says="Symbol partitions that this worker owns"),
    "tradeflow_run_records": _histogram(says="Records that one fetch brought of a symbol partition"),
    "tradeflow_stage_seconds": _histogram(
        "stage",
        says="From a record's arrival at the socket to the end of a stage: normalized, applied (both: the oldest"
        " record of each run), acknowledged (each order, by the broker)",
    ),
    "tradeflow_checkpoint_seconds": Description(
        "summary", (), "Writing a checkpoint until the broker has acknowledged it"
    ),
    "tradeflow_recovery_seconds": _gauge(says="How long the last loading of the tables from Kafka took"),
    "tradeflow_unacknowledged_bytes": _gauge("sender", says="Sent, and not acknowledged by the broker yet"),
    "tradeflow_dead_letters_total": _counter("topic", says="Records that could not be used"),
    "tradeflow_tail_age_seconds": _gauge(says="Since Kafka last answered this worker's lists; +Inf: not yet"),
    # strategies
    "tradeflow_orders_total": _counter("strategy", says="Orders sent"),
    "tradeflow_executions_total": _counter(
        "status",
        "reason_code",
        says="What became of orders: verdicts of the risk gate (SUBMITTED, DENIED) and reports of the venue",
    ),
    "tradeflow_conflicting_orders_total": _counter(
        says="Orders of all workers that came again under their id with another content: must be 0"
    ),
    "tradeflow_halted_strategies": _gauge("strategy", says="Symbols for which the strategy is halted"),
    # readers
    "tradeflow_redis_books_total": _counter(
        "result",
        says="Tops of books sent to Redis: written, older than what it has, late (it was frozen, or a clock is wrong)",
    ),
    "tradeflow_redis_errors_total": _counter(says="Calls of Redis that failed"),
    "tradeflow_redis_age_seconds": _gauge(
        says="Since Redis last took all tops of books that there were to write"
    ),
    "tradeflow_stream_clients": _gauge(says="Readers of /stream"),
    "tradeflow_stream_dropped_total": _counter(says="Readers of /stream that were too slow, and cut off"),
    "tradeflow_stream_refused_total": _counter(says="Readers of /stream beyond TRADEFLOW_STREAM_CLIENTS"),
}

_FAMILIES: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}

Sample = tuple[str, tuple[str, ...], Any]
"""(metric, values of its labels, value): a number, of a histogram a Histogram, of a summary (count, sum)."""

Source = Callable[[], Iterable[Sample]]


class Metrics(Collector):
    """All samples of all sources, as families of METRICS."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        families = {
            name: _FAMILIES[metric.kind](name, metric.says, labels=metric.labels)
            for name, metric in METRICS.items()
        }
        for source in self._sources:
            for name, labels, value in source():
                _add(families[name], labels, value)
        yield from families.values()


def _add(family: Any, labels: tuple[str, ...], value: Any) -> None:
    if isinstance(value, Histogram):
        family.add_metric(labels, value.buckets(), value.sum)
    elif isinstance(family, SummaryMetricFamily):
        family.add_metric(labels, *value)
    else:
        family.add_metric(labels, value)


def registry(*sources: Source) -> CollectorRegistry:
    """Of one worker: its samples, and its process's memory, CPU, files and start."""
    own = CollectorRegistry(auto_describe=False)
    own.register(Metrics(*sources))
    ProcessCollector(registry=own)
    return own


# -- what each part says


def of_markets(markets: Iterable[Market], now: int) -> Iterator[Sample]:
    """Of the symbol partitions that a worker owns; `now` in nanoseconds."""
    states = dict.fromkeys(STATES, 0)
    records, halted = Counter[tuple[str, str]](), Counter[str]()
    duplicates = gaps = partitions = 0
    for market in markets:
        partitions += 1
        for (exchange, symbol), book in market.books.items():
            state = of_book(book.state, "", book.heard, market.event_time, now, book.silence_ns).state
            states[state] += 1
            yield from _of_book(exchange, symbol, book, state, now)
        counts = market.counts
        for kind in ("snapshots", "deltas", "trades"):
            for exchange, count in counts[kind].items():
                records[exchange, kind] += count
        duplicates += counts["duplicates"]
        gaps += counts["gaps"]
        for run in market.runs:
            halted[run.strategy.name] += bool(run.halted)
    yield "tradeflow_partitions", (), partitions
    yield "tradeflow_duplicates_total", (), duplicates
    yield "tradeflow_gaps_total", (), gaps
    for name, count in states.items():
        yield "tradeflow_books", (name,), count
    for labels, count in sorted(records.items()):
        yield "tradeflow_book_records_total", labels, count
    for strategy, count in sorted(halted.items()):
        yield "tradeflow_halted_strategies", (strategy,), count


def _of_book(exchange: str, symbol: str, book: OrderBook, state: str, now: int) -> Iterator[Sample]:
    yield "tradeflow_book_live", (exchange, symbol), int(state == "live")
    if book.heard:
        yield "tradeflow_book_age_seconds", (exchange, symbol), (now - book.heard) / 1e9
    if book.exchange_time:
        lag = (book.receipt_time - book.exchange_time) / 1e9
        yield "tradeflow_feed_lag_seconds", (exchange, symbol), lag
    for side, levels in zip(("bid", "ask"), book.book.depth, strict=True):
        yield "tradeflow_book_levels", (exchange, symbol, side), levels


def of_feeds(feeds: Iterable[Mapping[str, Any]], now: int) -> Iterator[Sample]:
    """Of `Feeds.status()`; `now` in nanoseconds."""
    connections, errors = Counter[str](), Counter[str](reconnect=0, gap=0, publish=0)
    for feed in feeds:
        exchange = feed["exchange"]
        place = (exchange, str(feed["feed"]))
        connections[exchange] += feed["state"] in CONNECTED
        errors.update(reconnect=feed["reconnects"], gap=feed["gaps"], publish=feed["errors"])
        yield "websocket_messages_total", place, feed["messages"]
        yield "tradeflow_feed_live", place, int(feed["state"] == "live")
        yield "tradeflow_feed_reconnects_total", place, feed["reconnects"]
        yield "tradeflow_feed_resyncs_total", place, feed["resyncs"]
        since = feed["last_message_time"] or feed["since"]
        yield "tradeflow_feed_silence_seconds", place, (now - since) / 1e9
    for exchange, count in sorted(connections.items()):
        yield "active_connections", (exchange,), count
    for kind, count in errors.items():
        yield "errors_total", (kind,), count


def of_stats(stats: Stats) -> Iterator[Sample]:
    yield "order_book_update_duration_seconds", (), stats.updates
    yield "tradeflow_run_records", (), stats.run_sizes
    for stage in STAGES:
        yield "tradeflow_stage_seconds", (stage,), stats.stages[stage].histogram
    for strategy, count in sorted(stats.orders.items()):
        yield "tradeflow_orders_total", (strategy,), count
    for outcome, count in sorted(stats.executions.items()):
        yield "tradeflow_executions_total", outcome, count
    for topic, count in sorted(stats.dead_letters.items()):
        yield "tradeflow_dead_letters_total", (topic,), count
    yield "errors_total", ("dead_letter",), stats.dead_letters.total()


def of_redis(writer: RedisWriter) -> Iterator[Sample]:
    for result, count in writer.writes.items():
        yield "tradeflow_redis_books_total", (result,), count
    yield "tradeflow_redis_errors_total", (), writer.errors
    yield "tradeflow_redis_age_seconds", (), writer.age()


def of_lag(lag: Mapping[Any, int]) -> Iterator[Sample]:
    """Of `Consumer.lag()`: by topic partition, records."""
    for tp, records in sorted(lag.items()):
        yield "tradeflow_consumer_lag_records", (tp.topic, str(tp.partition)), records
