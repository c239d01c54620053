"""One backtest of a file, from names and parameters to the result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tradeflow.backtest.backtest import Backtest
from tradeflow.backtest.changes import Change, changed
from tradeflow.backtest.fills import Beside, Fills
from tradeflow.backtest.result import BacktestResult
from tradeflow.market import Market
from tradeflow.partitions import load_maps
from tradeflow.recording import Header, RecordingError, RecordingReader
from tradeflow.recording.setup import new_market, recorded_strategies, trading_of
from tradeflow.settings import load_settings
from tradeflow.strategies import Strategy, load_strategies

DAY = 86_400_000_000_000


class Job(NamedTuple):
    """One backtest for a process of its own: all that it needs, as text."""

    file: Path
    strategies: tuple[str, ...]
    """Names to load instead of the recorded ones; empty: those."""
    changes: tuple[Change, ...]
    latency: float | None
    sample_seconds: float


def run_job(job: Job, beside: Beside | None = None) -> BacktestResult:
    """`beside` hears of both runs' orders.  Raises RecordingError, StrategyError, SettingsError, OSError."""
    with job.file.open("rb") as data:
        reader = RecordingReader(data, str(job.file))
        strategies = changed(_strategies(job, reader.header), job.changes)
        backtest = new_backtest(reader.header, strategies, job, beside.tested if beside else None)
        for block in reader.blocks():
            backtest.apply(block)
            if beside:
                for record in block:
                    beside.live.apply(record)
        if reader.cut_off:
            _say(reader.cut_off)
    return backtest.result([shown(strategy) for strategy in strategies])


def new_backtest(
    header: Header, strategies: list[Strategy], job: Job, fills: Fills | None = None
) -> Backtest:
    if header.holds != "topics" or "market-events" not in header.first:
        raise RecordingError(f"it holds {header.holds} and no market-events: nothing to test on")
    trading = trading_of(header, strategies, job.latency)

    def create(partition: int) -> Market:
        # What nobody reads isn't published: levels and keyframes.
        unread: dict[str, Any] = {"normalized_per_second": 1e-9, "keyframe_interval": 10_000 * DAY}
        return new_market(header, partition, strategies, trading, venue=trading.venue, **unread)

    return Backtest(create, job.sample_seconds, fills)


def shown(strategy: Strategy) -> dict[str, object]:
    """Name, hash and parameters, for the report."""
    parameters = {
        field.name: msgspec.to_builtins(getattr(strategy, field.name))
        for field in msgspec.structs.fields(strategy)
    }
    return {"name": strategy.name, "params_hash": strategy.params_hash, "parameters": parameters}


def _strategies(job: Job, header: Header) -> list[Strategy]:
    if not job.strategies:
        return recorded_strategies(header, _say)
    config = load_settings()
    return load_strategies(job.strategies, load_maps(config.partition_maps), config.strategies_file)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
