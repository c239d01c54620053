"""`tradeflow feeds`: the connections to the exchanges."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.commands.worker import ask, ask_all, tell_silent, url_option, worker_url

STYLES = {"live": "green", "connecting": "yellow"}


@verb("feeds", "tradeflow feeds", "tradeflow feeds --seconds 10 --json")
@click.option(
    "--seconds",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0.1, max=3600),
    help="How long messages are counted for the rate.",
)
@url_option
@json_option
def feeds_command(seconds: float, url: str | None, as_json: bool) -> None:
    """List the feeds: state, rate, reconnects, lag.

    Of all workers, whichever is asked. Lag is from the exchange's own time of a book's last record to its arrival: the
    median of that exchange's books on the worker that is asked."""
    address = worker_url(url)
    before, began = ask_all(address, "/feeds", "feeds"), time.monotonic()
    time.sleep(seconds)
    answer, took = ask_all(address, "/feeds", "feeds"), time.monotonic() - began
    lags = ask(address, "/stats")["feed_lag_ms"]
    known = {(feed["feed"], feed["worker"]): feed["messages"] for feed in before["feeds"]}
    now = time.time_ns()
    for feed in answer["feeds"]:
        counted = feed["messages"] - known.get((feed["feed"], feed["worker"]), feed["messages"])
        feed["messages_per_second"] = round(counted / took, 1)
        feed["lag_ms"] = lags.get(feed["exchange"])
        last = feed["last_message_time"]
        feed["quiet_ms"] = round(max(0, now - last) / 1e6, 1) if last else None
    if as_json:
        say_json(answer)
    else:
        terminal().print(_table(answer["feeds"]))
    tell_silent(answer, "feeds")


def _table(feeds: list[dict[str, Any]]) -> Table:
    errors = any(feed["last_error"] for feed in feeds)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("feed", "exchange", "symbols", "state"):
        table.add_column(name, no_wrap=name != "symbols")
    for name in ("messages/s", "quiet", "lag", "reconnects", "gaps", "resyncs"):
        table.add_column(name, justify="right", no_wrap=True)
    if errors:
        table.add_column("last error")
    for feed in feeds:
        state = str(feed["state"])
        table.add_row(
            str(feed["feed"]),
            feed["exchange"],
            ", ".join(feed["symbols"]),
            Text(state if state == "live" else state.upper(), style=STYLES.get(state, "red reverse")),
            f"{feed['messages_per_second']:,.1f}",
            _milliseconds(feed["quiet_ms"]),
            _milliseconds(feed["lag_ms"]),
            str(feed["reconnects"]),
            str(feed["gaps"]),
            str(feed["resyncs"]),
            *([Text(feed["last_error"] or "")] if errors else []),
        )
    return table


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.0f} s"
