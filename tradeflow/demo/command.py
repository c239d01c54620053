"""`tradeflow demo` and `tradeflow run`: the whole system from one command."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.demo.addresses import exports, kafka_port
from tradeflow.demo.child import ChildFailed
from tradeflow.demo.display import Summary, screen
from tradeflow.demo.stack import Stack
from tradeflow.settings import load_settings

REFRESH = 0.5
WARM_UP = 30.0
"""Seconds that a timed run may take on top until every book is live for the first time."""


@verb(
    "demo",
    "tradeflow demo",
    "tradeflow demo --seconds 30 --rate 100    # status 0 only if all is well",
    "STRATEGIES=imbalance,dip:Dip tradeflow demo",
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End by itself after this many seconds, with a summary."
)
@click.option(
    "--rate", type=click.FloatRange(min=1), help="Book updates a second of the simulated exchanges together."
)
@click.option("--seed", type=int, help="Of the simulated market.")
@json_option
def demo_command(seconds: float | None, rate: float | None, seed: int | None, as_json: bool) -> None:
    """Run everything here, against simulated exchanges.

    A Kafka, the simulators, a worker and its web pages, until Ctrl-C: no Docker, no keys, no network."""
    options: list[str] = []
    if rate is not None:
        options += ["--rate", str(rate)]
    if seed is not None:
        options += ["--seed", str(seed)]
    _main(seconds, as_json, simulate=True, data_dir=None, simulator_options=tuple(options))


@verb(
    "run",
    "tradeflow run",
    "EXCHANGES=kraken SYMBOLS=BTC-USD tradeflow run --data-dir kraken-data",
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End by itself after this many seconds, with a summary."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("tradeflow-data"),
    show_default=True,
    help="Keeps Kafka's topics and the books from one run to the next.",
)
@json_option
def run_command(seconds: float | None, data_dir: Path, as_json: bool) -> None:
    """Run everything here, on the real exchanges.

    Market data only: orders stay on paper. With KAFKA_BROKERS set that Kafka is used, else one is started here."""
    _main(seconds, as_json, simulate=False, data_dir=data_dir, simulator_options=())


def _main(
    seconds: float | None,
    as_json: bool,
    *,
    simulate: bool,
    data_dir: Path | None,
    simulator_options: tuple[str, ...],
) -> None:
    """`as_json`: only the summary goes to standard output."""
    if as_json and seconds is None:
        raise click.UsageError("--json is the summary's form, which only --seconds has")
    console = terminal(stderr=as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = load_settings()
        given = "kafka_brokers" in settings.model_fields_set and not simulate
        status = console.status("Starting")
        stack = Stack(
            settings,
            simulate=simulate,
            data_dir=data_dir,
            brokers=settings.kafka_brokers if given else None,
            kafka_port=kafka_port(settings),
            simulator_options=simulator_options,
            progress=status.update if console.is_terminal else console.print,
        )
        try:
            with status:
                stack.start()
            interrupted = _watch(stack, seconds, console)
            summary = _summary(stack, round(seconds or 0))
            if as_json:
                say_json(summary.as_dict())
            else:
                console.print(summary.render(summary.stats["uptime_s"]))
        except ChildFailed:
            kept = stack.keep_logs()
            console.print(f"Logs are kept in {kept}", soft_wrap=True)
            raise
        finally:
            console.print("Stopping")
            stack.stop()
    except KeyboardInterrupt:
        interrupted = True
    if interrupted:
        sys.exit(0 if seconds is None else 130)
    sys.exit(1 if summary.problems else 0)


def _watch(stack: Stack, seconds: float | None, console: Console) -> bool:
    """Show the books until the time is up, or Ctrl-C: then True."""
    console.print(
        f"Dashboard: {stack.web_url}/   Kafka: {stack.brokers}   logs: {stack.data_dir}", soft_wrap=True
    )
    if elsewhere := exports(stack.settings, stack.brokers, stack.web_url):
        console.print(f"For verbs in other terminals: export {elsewhere}", soft_wrap=True)
    started = time.monotonic()
    all_live: float | None = None
    with (
        Live(console=console, refresh_per_second=4, transient=True, auto_refresh=console.is_terminal) as live,
        suppress(KeyboardInterrupt),
    ):
        while True:
            stack.check()
            books, stats, runs = _look(stack)
            now = time.monotonic()
            if all_live is None and books and all(book["state"] == "live" for book in books):
                all_live = now
                if not console.is_terminal:
                    ends = "SIGINT ends it" if seconds is None else f"ends in {seconds:g} s"
                    console.print(
                        f"{len(books)} books are live; {ends}, with a summary (a terminal shows the books)"
                    )
            if seconds is None:
                remaining = None
            else:
                remaining = (all_live or started + WARM_UP) + seconds - now
                if remaining <= 0:
                    return False
            if console.is_terminal:
                live.update(screen(books, stats, runs, stack.web_url, remaining))
            time.sleep(REFRESH)
    return True


def _summary(stack: Stack, seconds: int) -> Summary:
    """Of the last `seconds`: the backlog of the start is no part of the latency.  Raises ChildFailed."""
    errors = [line for child in stack.children for line in _errors(child.log())]
    try:
        stats = stack.get(f"/stats?seconds={seconds}")
        runs = stack.get("/strategies")["strategies"]
        return Summary(stack.get("/books")["books"], stats, stack.get("/feeds")["feeds"], runs, errors)
    except OSError as error:
        stack.check()
        raise ChildFailed(f"the worker lives, and doesn't answer at {stack.web_url}: {error}") from None


def _look(
    stack: Stack,
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, list[dict[str, Any]]]:
    try:
        return stack.get("/books")["books"], stack.get("/stats"), stack.get("/strategies")["strategies"]
    except OSError:
        return [], None, []


def _errors(log: str) -> list[str]:
    return [line for line in log.splitlines() if "[ERROR]" in line or "[CRITICAL]" in line]
