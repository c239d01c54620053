"""From what a delta costs one core to a whole market: partitions, workers, brokers, network, disk, memory, money.

The costs are those that the other parts have measured (docs/benchmarks.json), the records' sizes are those of real
ones; what is assumed is a constant here, and told in docs/scaling.md, which this writes between its marks."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from bench.goals import costs
from bench.load import EXCHANGE, events, markets, raw, symbols
from bench.processes import ROOT
from bench.report import refreshed, table
from bench.skew import skew, zipf
from tradeflow.market import Market
from tradeflow.partitions import SYMBOLS_PER_FEED

TARGET = ROOT / "docs" / "scaling.md"
TEMPLATE = ROOT / "bench" / "scaling.md"

EXPONENT = 1.0
"""Of the market's skew: the tenth busiest symbol has a tenth of the busiest one's rate."""
PER_WORKER = 4
"""Partitions: so many steps in which workers can be added."""
_SAMPLE = 5_000  # deltas of 40 books, for the sizes of records


@dataclass(frozen=True)
class Whole:
    """A market, and what is assumed of the machines."""

    exchanges: int = 40
    symbols: int = 1_000
    deltas: float = 1_000_000.0
    """A second, of all."""
    levels: int = 2_000
    """Of a book, both sides."""
    busy: float = 0.6
    """Of a core: more, and the queue before it gets long whenever the market is faster than its mean."""
    replicas: int = 3
    broker_mb: float = 150.0
    """Megabytes a second that a broker takes, replication included."""
    hours: float = 24.0
    """That raw records and events are kept."""
    core_hour: float = 0.04
    gigabyte_month: float = 0.08
    """US dollars, as clouds charge on demand."""


class Sizes(NamedTuple):
    """Bytes for each delta."""

    raw: float
    event: float
    outputs: float


class Demand(NamedTuple):
    feeds: int
    feed_cores: int
    workers: int
    partitions: int
    memory: float
    """Gigabytes of books, in all."""
    written: float
    """Megabytes a second to Kafka, before replication."""
    read: float
    brokers: int
    disk: float
    """Terabytes, replicas included."""
    dollars: float
    """A month."""
    busiest: float
    """Deltas a second of the busiest symbol."""
    limit: float
    """Deltas a second that one worker takes, a core kept entirely busy."""


def sizes() -> Sizes:
    """Of the benchmarks' load, through a real Market with all outputs on."""
    encode = msgspec.json.Encoder().encode
    found, random_ = markets(40, 7)
    market = Market(0, [(EXCHANGE, symbol) for symbol in symbols(40)])
    counts: Counter[str] = Counter()
    start, step = 1_700_000_000_000_000_000, 200_000  # 5,000 deltas a second
    made = events(found, random_, lambda n: start + n * step)
    for offset, event in enumerate(itertools.islice(made, 40 + _SAMPLE)):
        market.apply(event, offset)
        outputs = market.take_outputs()
        if offset >= 40:
            counts["raw"] += len(encode(raw(event, event.receipt_time))) + len(event.symbol)
            counts["event"] += len(encode(event)) + len(event.symbol)
            counts["outputs"] += sum(len(key) + len(value) for _, key, value in outputs)
    return Sizes(*(counts[name] / _SAMPLE for name in Sizes._fields))


def demand(whole: Whole, ingest_us: float, pipeline_us: float, level_bytes: float, size: Sizes) -> Demand:
    """What the market needs, at the given CPU microseconds a frame and a delta and bytes a level; pure."""
    feed_cores = math.ceil(whole.deltas * ingest_us / 1e6 / whole.busy)
    workers = math.ceil(whole.deltas * pipeline_us / 1e6 / whole.busy)
    written = whole.deltas * sum(size) / 1e6
    read = whole.deltas * (size.raw + size.event) / 1e6
    brokers = max(whole.replicas, math.ceil(written * whole.replicas / whole.broker_mb))
    disk = whole.deltas * (size.raw + size.event) * whole.replicas * whole.hours * 3600 / 1e12
    # A broker of that kind has four cores.
    monthly = (
        feed_cores + workers + 4 * brokers
    ) * whole.core_hour * 730 + disk * 1000 * whole.gigabyte_month
    return Demand(
        feeds=whole.exchanges * math.ceil(whole.symbols / SYMBOLS_PER_FEED),
        feed_cores=feed_cores,
        workers=workers,
        partitions=min(whole.symbols, workers * PER_WORKER),
        memory=whole.exchanges * whole.symbols * whole.levels * level_bytes / 1e9,
        written=written,
        read=read,
        brokers=brokers,
        disk=disk,
        dollars=monthly,
        busiest=max(zipf(whole.symbols, EXPONENT).values()) * whole.deltas,
        limit=1e6 / pipeline_us,
    )


def write() -> None:
    """docs/scaling.md's tables; the model's from the newest costs, where all of them have been measured."""
    parts: dict[str, dict[str, Any]] = {"skew": {"skew": skew_table()}}
    known = costs()
    if missing := sorted({"ingest_us", "pipeline_us", "level_bytes"} - known.keys()):
        print(
            f"No model: docs/benchmarks.json lacks {', '.join(missing)}; `make bench` measures them",
            flush=True,
        )
    else:
        parts["model"] = model(known["ingest_us"], known["pipeline_us"], known["level_bytes"])
    text = TARGET.read_text()
    for part, values in parts.items():
        print(f"{values[part]}\n", flush=True)
        text = refreshed(text, part, template=TEMPLATE, **values)
    TARGET.write_text(text)
    print(f"Written to {TARGET.relative_to(ROOT)}", flush=True)


def model(ingest_us: float, pipeline_us: float, level_bytes: float) -> dict[str, Any]:
    """What the template says of it."""
    size = sizes()
    wholes = [Whole(4, 20, 5_000), Whole(4, 100, 50_000), Whole(10, 500, 250_000), Whole()]
    found = [demand(whole, ingest_us, pipeline_us, level_bytes, size) for whole in wholes]
    given = {"ingest_us": ingest_us, "pipeline_us": pipeline_us, "level_bytes": level_bytes, "size": size}
    return given | {"model": model_table(wholes, found)}


def model_table(wholes: list[Whole], found: list[Demand]) -> str:
    head = [f"{one.exchanges} × {one.symbols:,}, {one.deltas:,.0f}/s" for one in wholes]
    rows = {
        "connections to exchanges": [f"{one.feeds:,}" for one in found],
        "cores for feeds": [f"{one.feed_cores:,}" for one in found],
        "workers (a core each)": [f"{one.workers:,}" for one in found],
        "partitions of market-events": [f"{one.partitions:,}" for one in found],
        "memory of all books, GB": [f"{one.memory:,.1f}" for one in found],
        "written to Kafka, MB/s": [f"{one.written:,.1f}" for one in found],
        "read by tradeflow, MB/s": [f"{one.read:,.1f}" for one in found],
        "brokers": [f"{one.brokers:,}" for one in found],
        "disk, TB": [f"{one.disk:,.2f}" for one in found],
        "dollars a month": [f"{one.dollars:,.0f}" for one in found],
        "busiest symbol, deltas/s": [f"{one.busiest:,.0f}" for one in found],
        "one worker takes, deltas/s": [f"{one.limit:,.0f}" for one in found],
    }
    return table(["exchanges × symbols, deltas", *head], [[name, *row] for name, row in rows.items()])


def skew_table() -> str:
    rows = []
    for exponent, workers, each in itertools.product((0.5, 1.0, 1.5), (4, 16), (1, PER_WORKER)):
        one = skew(1_000, exponent, workers, workers * each)
        figures = [f"{value:.2f} ×" for value in (one.dealt, one.balanced, one.least)]
        rows.append([f"{exponent:g}", str(workers), str(one.partitions), *figures, f"{one.moved:.0%}"])
    header = [
        "exponent",
        "workers",
        "partitions",
        "dealt in turn",
        "--balance",
        "the least possible",
        "moved",
    ]
    return table(header, rows)
