"""`tradeflow watch`: the top of each book, as it changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tradeflow.commands.chosen import Chosen, books_argument
from tradeflow.commands.errors import FAILED, NoAnswer
from tradeflow.commands.tops import Row, Tops, told_by_worker
from tradeflow.commands.verb import json_option, terminal, verb
from tradeflow.commands.worker import no_worker, url_option, worker_url
from tradeflow.demo.display import STATE_STYLES, books_table
from tradeflow.web.client import get

Source = Callable[[], Iterator[tuple[list[Row], int | None]]]

PAUSE = 1.0
"""Seconds until a worker that has fallen silent is asked again."""
COMPARED = ("state", "bid", "ask")
"""What makes a change."""


@verb(
    "watch",
    "tradeflow watch                          # all books, until Ctrl-C",
    "tradeflow watch BTC-USDT kraken          # one symbol, and all of Kraken's",
    "tradeflow watch binance/BTC-USDT --json  # a line a change, for programs",
    "tradeflow watch --once                   # status 1 if one isn't live",
)
@books_argument
@click.option("--once", is_flag=True, help="Show them as they are, and end; status 1 if one isn't live.")
@click.option(
    "--kafka", "from_kafka", is_flag=True, help="From Kafka's topic top-of-book, whatever workers say."
)
@url_option
@json_option
def watch_command(
    books: tuple[str, ...], once: bool, from_kafka: bool, url: str | None, as_json: bool
) -> None:
    """Show the top of each book as it changes.

    Bid, ask, mid, spread, state and age, as a worker streams them; from Kafka where none answers. A worker that falls
    silent makes every book stale within 3 s; in Kafka's topic one that isn't published any more is stale after 7 s."""
    console = terminal()
    if not (once or as_json or console.is_terminal):
        raise click.UsageError("watch draws on a terminal: add --json or --once where there is none")
    tops = Tops(Chosen(books))
    source = _source(url, from_kafka)
    if once:
        _once(tops, source, as_json, console)
        return
    try:
        if as_json:
            _print_changes(tops, source)
        else:
            with Live(
                get_renderable=lambda: _screen(tops.rows(), tops.trouble),
                console=console,
                refresh_per_second=4,
                screen=False,
            ):
                for _ in _heard(tops, source):
                    pass
    except KeyboardInterrupt:
        return


def _source(url: str | None, from_kafka: bool) -> Source:
    """A worker if one answers, else Kafka.  Raises NoAnswer if there is none where `url` says."""
    if not from_kafka:
        address = worker_url(url)
        try:
            get(f"{address}/health", timeout=3.0)
            return lambda: told_by_worker(address)
        except (OSError, ValueError) as error:
            if url:
                raise no_worker(address, error) from None
            click.echo(f"no worker answers at {address} ({error}): read from Kafka", err=True)
    from tradeflow.cluster.security import client_options
    from tradeflow.commands.tops_from_kafka import told_by_kafka  # slow to import, and seldom needed
    from tradeflow.settings import load_settings

    client = client_options(load_settings())
    return lambda: _steps(told_by_kafka(client))


def _steps(generator: AsyncIterator[Any]) -> Iterator[Any]:
    async def step() -> Any:
        return await anext(generator)

    with asyncio.Runner() as runner:
        try:
            while True:
                yield runner.run(step())
        finally:
            runner.run(generator.aclose())  # type: ignore[attr-defined]


def _heard(tops: Tops, source: Source) -> Iterator[None]:
    """Endless: yields whenever something may have changed; a source that fails is asked again."""
    while True:
        try:
            for rows, time_ns in source():
                tops.heard(rows, time_ns)
                yield
        except (OSError, ValueError) as error:  # gone, silent, cut off in mid-event, or full of readers
            tops.trouble = str(error)
            yield
        time.sleep(PAUSE)
        yield


def _once(tops: Tops, source: Source, as_json: bool, console: Console) -> None:
    try:
        said = False
        for rows, time_ns in source():
            tops.heard(rows, time_ns)
            said = said or bool(rows)
            if said and time_ns is not None:  # a worker's beat stands behind its books
                break
    except (OSError, ValueError) as error:
        raise NoAnswer(f"the stream of the books broke off ({error}): try again") from None
    shown = tops.rows()
    if not shown:
        raise click.ClickException("no such book: `tradeflow books` lists them")
    if as_json:
        for row in shown:
            _print(row)
    else:
        console.print(books_table(shown))
    if any(row["state"] != "live" for row in shown):
        raise SystemExit(FAILED)


def _print_changes(tops: Tops, source: Source) -> None:
    printed: dict[tuple[str, str], list[Any]] = {}
    for _ in _heard(tops, source):
        for row in tops.rows():
            place, now = (row["exchange"], row["symbol"]), [row.get(name) for name in COMPARED]
            if printed.get(place) != now:
                printed[place] = now
                _print(row)


def _print(row: Row) -> None:
    click.echo(json.dumps(row))


def _screen(rows: list[Row], trouble: str = "") -> Group:
    """What the terminal shows: how many are live first, for a long table may not fit."""
    states = [str(row["state"]) for row in rows]
    head = Text(f"{states.count('live')} of {len(states)} books live", style="green")
    for state in sorted(set(states) - {"live"}):
        head.append("  ")
        head.append(
            f" {states.count(state)} {state.upper()} ", style=f"{STATE_STYLES.get(state, '')} reverse"
        )
    return Group(head, *([Text(trouble, style="red")] if trouble else []), books_table(rows))
