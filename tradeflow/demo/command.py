"""`tradeflow demo` and `tradeflow run`: the whole system from one command."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from tradeflow.demo.addresses import exports, kafka_port
from tradeflow.demo.child import ChildFailed
from tradeflow.demo.display import Summary, screen
from tradeflow.demo.stack import Stack
from tradeflow.kafka import KafkaError
from tradeflow.ports import ListenError
from tradeflow.settings import SettingsError, load_settings

REFRESH = 0.5
WARM_UP = 30.0
"""Seconds that a timed run may take on top until every book is live for the first time."""


@click.command("demo")
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End by itself after this many seconds, with a summary."
)
@click.option(
    "--rate", type=click.FloatRange(min=1), help="Book updates a second of the simulated exchanges together."
)
@click.option("--seed", type=int, help="Of the simulated market.")
def demo_command(seconds: float | None, rate: float | None, seed: int | None) -> None:
    """Run everything on this machine against simulated exchanges: no Docker, no keys, no network."""
    options: list[str] = []
    if rate is not None:
        options += ["--rate", str(rate)]
    if seed is not None:
        options += ["--seed", str(seed)]
    _main(seconds, simulate=True, data_dir=None, simulator_options=tuple(options))


@click.command("run")
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
def run_command(seconds: float | None, data_dir: Path) -> None:
    """Run everything on this machine against the real exchanges (market data; orders stay on paper).

    With KAFKA_BROKERS set that Kafka is used, else one is started here."""
    _main(seconds, simulate=False, data_dir=data_dir, simulator_options=())


def _main(
    seconds: float | None, *, simulate: bool, data_dir: Path | None, simulator_options: tuple[str, ...]
) -> None:
    console = Console(highlight=False)
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
            failed = _watch(stack, seconds, console)
        except ChildFailed:
            kept = stack.keep_logs()
            console.print(f"Logs are kept in {kept}", soft_wrap=True)
            raise
        finally:
            console.print("Stopping")
            stack.stop()
    except KeyboardInterrupt:
        sys.exit(0 if seconds is None else 130)
    except (SettingsError, KafkaError, ChildFailed, ListenError) as error:
        console.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    sys.exit(1 if failed else 0)


def _watch(stack: Stack, seconds: float | None, console: Console) -> bool:
    """Show the books until the time is up or Ctrl-C.  True if a timed run found anything wrong."""
    console.print(
        f"Dashboard: {stack.web_url}/   Kafka: {stack.brokers}   logs: {stack.data_dir}", soft_wrap=True
    )
    if elsewhere := exports(stack.settings, stack.brokers, stack.web_url):
        console.print(f"For verbs in other terminals: export {elsewhere}", soft_wrap=True)
    started = time.monotonic()
    all_live: float | None = None
    with Live(
        console=console, refresh_per_second=4, transient=True, auto_refresh=console.is_terminal
    ) as live:
        while True:
            stack.check()
            books, stats, runs = _look(stack)
            now = time.monotonic()
            if all_live is None and books and all(book["state"] == "live" for book in books):
                all_live = now
            if seconds is None:
                remaining = None
            else:
                remaining = (all_live or started + WARM_UP) + seconds - now
                if remaining <= 0:
                    break
            if console.is_terminal:
                live.update(screen(books, stats, runs, stack.web_url, remaining))
            time.sleep(REFRESH)
    summary = _summary(stack, round(seconds or 0))
    console.print(summary.render(summary.stats["uptime_s"]))
    return bool(summary.problems)


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
