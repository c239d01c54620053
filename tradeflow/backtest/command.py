"""`tradeflow backtest`: strategies on a recorded log, with a paper exchange."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tradeflow.backtest.changes import parse_change
from tradeflow.backtest.fills import Beside
from tradeflow.backtest.page import page
from tradeflow.backtest.report import show, show_sweep, wide_console
from tradeflow.backtest.result import BacktestResult
from tradeflow.backtest.run import Job, run_job
from tradeflow.backtest.sweep import combinations, parse_sweep, run_all
from tradeflow.commands.verb import json_option, verb
from tradeflow.recording.command import parse_start, record_topics
from tradeflow.settings import load_settings
from tradeflow.times import parse_time
from tradeflow.topics import MARKET_EVENTS


@verb(
    "backtest",
    "tradeflow backtest run.rec --strategies imbalance,dip:Dip",
    "tradeflow backtest run.rec --set imbalance.enter=0.7 --html report.html",
    "tradeflow backtest run.rec --sweep imbalance.enter=0.5:0.9:0.1 --json",
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "start", help="Of Kafka instead of a FILE: a time, `beginning` or an offset.")
@click.option("--to", "stop", help="Up to a time; default: what is there now.")
@click.option(
    "--strategies",
    default="",
    help="Names or module:Class, comma separated; default: those that were recorded.",
)
@click.option("--set", "changes", multiple=True, metavar="STRATEGY.PARAMETER=VALUE", help="Repeatable.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="PARAMETER=FROM:TO:STEP",
    help="One backtest for each value (also one,another); repeatable: each combination.",
)
@click.option("--processes", type=click.IntRange(min=1), help="Of a sweep; default: one a core.")
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    help="Seconds to the exchange and back, each; default: as recorded.",
)
@click.option(
    "--sample",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0.001),
    help="Seconds of event time between two points of the curve.",
)
@click.option(
    "--json-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Everything, as JSON, into this file.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="One page with charts, into this file.",
)
@click.option("--beside-live", is_flag=True, help="Compare with the recorded paper run, order by order.")
@json_option
def backtest_command(
    file: Path | None,
    start: str | None,
    stop: str | None,
    strategies: str,
    changes: tuple[str, ...],
    sweeps: tuple[str, ...],
    processes: int | None,
    latency: float | None,
    sample: float,
    json_file: Path | None,
    html_file: Path | None,
    beside_live: bool,
    as_json: bool,
) -> None:
    """Run strategies on a recorded log.

    With the gate and the paper exchange, as live; reports what they earned."""
    if (file is None) == (start is None):
        raise click.UsageError("name a FILE, or --from and --to for what Kafka holds")
    if sweeps and (html_file or beside_live):
        raise click.UsageError("--html and --beside-live are for one backtest: leave --sweep out, or them")
    beside = Beside.nothing() if beside_live else None
    names = tuple(name.strip() for name in strategies.split(",") if name.strip())
    common = tuple(parse_change(text) for text in changes)
    swept = combinations([parse_sweep(text) for text in sweeps])
    with _recorded(file, start, stop) as recording:
        jobs = [Job(recording, names, (*common, *values), latency, sample) for values in swept]
        if sweeps:
            results = _sweep(jobs, processes or os.cpu_count() or 1)
            rows = [([str(change) for change in swept[n]], result) for n, result in enumerate(results)]
            found = [{"parameters": values, "result": result} for values, result in rows]
            _write(json_file, found)
            if as_json:
                click.echo(_json(found))
            else:
                show_sweep(rows, wide_console())
            return
        began = time.process_time()
        result = run_job(jobs[0], beside)
    took = time.process_time() - began
    if as_json:
        click.echo(_json(result))
    else:
        show(result, wide_console())
        click.echo(f"{result.events / took:,.0f} events/s of one core")
        for line in beside.lines() if beside else ():
            click.echo(line)
    _write(json_file, result)
    if html_file:
        html_file.write_text(page(result), encoding="utf-8")


@contextlib.contextmanager
def _recorded(file: Path | None, start: str | None, stop: str | None) -> Iterator[Path]:
    """The file; what Kafka holds is recorded first, for every backtest of a sweep to read."""
    if file is not None:
        yield file
        return
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "log.rec"
        until = parse_time(stop) if stop else None
        begin = parse_start(start or "")
        asyncio.run(record_topics(load_settings(), file, [MARKET_EVENTS], begin, until, None))
        yield file


def _sweep(jobs: list[Job], processes: int) -> list[BacktestResult]:
    """The results in the order of the jobs, whichever process was first."""
    found: dict[int, BacktestResult] = {}
    columns = (TextColumn("backtests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(jobs))
        for number, result in run_all(jobs, min(processes, len(jobs))):
            found[number] = result
            progress.advance(task)
    return [found[number] for number in range(len(jobs))]


def _write(file: Path | None, value: object) -> None:
    if file is not None:
        file.write_bytes(_json(value))


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
