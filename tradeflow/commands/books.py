"""`tradeflow books`: the books of all workers, and the levels of some."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tradeflow.commands.chosen import Chosen, books_argument
from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.commands.worker import ask, ask_all, url_option, worker_url
from tradeflow.demo.display import STATE_STYLES, books_table


@verb(
    "books",
    "tradeflow books                               # all of them",
    "tradeflow books binance/BTC-USDT --depth 5    # with five levels a side",
    "tradeflow books kraken --json",
)
@books_argument
@click.option("--depth", type=click.IntRange(1, 100_000), help="So many levels a side of each, best first.")
@url_option
@json_option
def books_command(books: tuple[str, ...], depth: int | None, url: str | None, as_json: bool) -> None:
    """List the books, or show their levels.

    Of all workers, whichever is asked; BOOK is a symbol, an exchange, or exchange/symbol. Those that aren't live are
    listed with the reason."""
    chosen, address = Chosen(books), worker_url(url)
    rows = [
        row for row in ask_all(address, "/books", "books")["books"] if chosen(row["exchange"], row["symbol"])
    ]
    if not rows:
        raise click.ClickException("no such book: `tradeflow books` lists them")
    if depth is not None:
        rows = [ask(address, f"/books/{row['exchange']}/{row['symbol']}?depth={depth}") for row in rows]
    if as_json:
        say_json(rows)
        return
    console = terminal()
    for table in [books_table(rows)] if depth is None else map(_levels, rows):
        console.print(table)


def _levels(book: dict[str, Any]) -> Table:
    """Sizes outside, prices inside."""
    title = Text(f"{book['exchange']} {book['symbol']}: ", style="bold")
    title.append(str(book["state"]), style=STATE_STYLES.get(book["state"], ""))
    title.append(f" {book['reason']}" if book["reason"] else "")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("size", "bid", "ask", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    bids, asks = book["bids"], book["asks"]
    for n in range(max(len(bids), len(asks))):
        bid, ask_ = (bids[n : n + 1] or [["", ""]])[0], (asks[n : n + 1] or [["", ""]])[0]
        table.add_row(bid[1], bid[0], ask_[0], ask_[1])
    return table
