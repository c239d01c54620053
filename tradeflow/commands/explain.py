"""`tradeflow explain ID`: why an order was sent, and what became of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tradeflow.cluster.reader import KafkaReader
from tradeflow.cluster.security import client_options
from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.history.explain import Deployment, Explanation, SeenBook, explain
from tradeflow.messages import Execution, Order
from tradeflow.partitions import load_maps
from tradeflow.settings import load_settings
from tradeflow.strategies import load_strategies
from tradeflow.times import show_time


@verb(
    "explain",
    "tradeflow explain 417994a9aaf4df3b6f5705ffaa2c805d",
    "tradeflow explain 417994a9aaf4df3b6f5705ffaa2c805d --depth 20 --json",
)
@click.argument("order_id", metavar="ID")
@click.option(
    "--depth", default=5, show_default=True, type=click.IntRange(min=1), help="Levels a side of the books."
)
@json_option
def explain_command(order_id: str, depth: int, as_json: bool) -> None:
    """Tell why an order was sent.

    The event that caused it, the books that its strategy saw, its parameters, the gate's verdict, the fills, and where
    the time went; from Kafka, as the web view tells it. ID is one of `/orders`."""
    found = asyncio.run(_explain(order_id, depth))
    if as_json:
        say_json(msgspec.to_builtins(found))
    else:
        show(found, terminal())


async def _explain(order_id: str, depth: int) -> Explanation:
    config = load_settings()
    maps = load_maps(config.partition_maps)
    deployment = Deployment(
        maps,
        maps.books(config.exchanges, config.symbols),
        load_strategies(config.strategies, maps, config.strategies_file),
        {"silence_ns": int(config.silence_timeout * 1e9), "max_jump": config.max_jump_pct / 100},
    )
    async with KafkaReader(client_options(config)) as reader:
        return await explain(reader, deployment, order_id, depth=depth)


def show(found: Explanation, console: Console) -> None:
    order = found.order
    console.print(f"[bold]{_line(order)}[/]")
    console.print(
        f"because of {_cause(order)}, at event time {show_time(found.event_time)} (partition {found.partition}, "
        f"offset {found.offset})"
    )
    for text in found.missing:
        console.print(f"[yellow]missing: {escape(text)}[/]")
    if found.parameters is None:
        console.print(
            f"parameters {order.params_hash}: no known ones have this hash "
            "(are STRATEGIES and strategies.toml here the workers'?)"
        )
    else:
        values = ", ".join(f"{name}={_text(value)}" for name, value in found.parameters.items())
        console.print(f"parameters {order.params_hash}: {escape(values)}")
    for book in found.books:
        console.print(_book(book))
    for execution in found.executions:
        console.print(_execution(execution))
    if found.canceled_by is not None:
        console.print(f"its cancel was asked for because of {_cause(found.canceled_by)}")
    console.print(_stages(found))


def _line(order: Order) -> str:
    price = "at the market" if order.price is None else f"at {order.price}"
    kinds = [order.tif, *(["post-only"] if order.post_only else []), *(["shadow"] if order.shadow else [])]
    place = f"{order.exchange} {order.symbol}"
    return escape(
        f"{order.strategy}: {order.side} {order.size} {place} {price} ({' '.join(kinds)}) {order.order_id}"
    )


def _cause(order: Order) -> str:
    cause = order.cause
    match cause.kind:
        case "timer":
            return f"timer {cause.timer}"
        case "execution":
            return f"execution {cause.execution}"
        case "control":
            return f"the operator's word at offset {cause.sequence} of control"
        case "agent":
            return "the plain agent's own decision"
    return f"{cause.kind} {cause.epoch}:{cause.sequence} of {cause.exchange} {cause.symbol or order.symbol}"


def _book(book: SeenBook) -> Table:
    reason = f" ({book.reason})" if book.reason else ""
    title = f"{book.exchange} {book.symbol}: {book.state}{reason}, {book.epoch}:{book.sequence}"
    table = Table(title=escape(title), title_justify="left")
    for name in ("size", "bid", "ask", "size"):
        table.add_column(name, justify="right")
    for n in range(max(len(book.bids), len(book.asks))):
        bid = book.bids[n] if n < len(book.bids) else ("", "")
        ask = book.asks[n] if n < len(book.asks) else ("", "")
        table.add_row(bid[1], bid[0], *ask)
    return table


def _execution(one: Execution) -> str:
    parts = [f"{'gate' if one.number < 0 else 'venue'}: {one.status}"]
    if one.reason_code:
        parts.append(f"{one.reason_code}: {one.reason}")
    if one.last_size is not None:
        parts.append(
            f"{one.last_size} at {one.last_price} as {one.liquidity}, fee {one.fee} {one.fee_currency}"
        )
    parts.append(f"filled {one.filled_size}, left {one.leaves_size}")
    return escape(", ".join(parts))


def _stages(found: Explanation) -> Table:
    table = Table(title="where the time went", title_justify="left")
    for name in ("stage", "time", "after", "told by"):
        table.add_column(name, justify="right" if name == "after" else "left")
    for row in _rows(found):
        table.add_row(*row)
    return table


def _rows(found: Explanation) -> Iterator[tuple[str, str, str, str]]:
    before: int | None = None
    for stage in found.stages:
        after = "" if before is None else f"{(stage.time - before) / 1e6:+,.1f} ms"
        yield escape(stage.stage), show_time(stage.time)[11:23], after, escape(stage.by)
        before = stage.time


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
