"""The dashboard at `/`: its files, and the stream that it lives on."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from faust.web import Request

from tradeflow.web.answers import Passed, Problem
from tradeflow.web.pages import page
from tradeflow.web.stream import Full, Part, Rows, Stream
from tradeflow.web.trading import all_strategies, with_status
from tradeflow.web.views import all_feeds, known_symbol, listed_books, owned_book, worker_stats
from tradeflow.wiring import app, books, config, tail

STATIC = Path(__file__).parent / "static"
FILES = {path.name: path for path in STATIC.iterdir()} | {
    "plotly.min.js": Path(str(files("plotly"))) / "package_data" / "plotly.min.js"
}

HEADERS = {
    # Nothing but our own files runs, and no request leaves for anywhere else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again each time, sent again only if it is another
}

LEVELS = 25
"""A side, of the ladders and depth charts."""
LISTED = 50
"""Trades and orders that one event tells of at the most, however many there were since the last."""
RECENT, NEWEST = 60.0, 1000
"""Seconds that the latencies are of, and how many of them at the most: sorting more would hold the worker up."""


@page("/")
async def index(request: Request) -> Any:
    """The dashboard."""
    return web.FileResponse(FILES["index.html"], headers=HEADERS)


@page("/static/{name}")
async def static(request: Request, name: str) -> Any:
    """Its files."""
    if name not in FILES:
        raise Problem(404, "unknown file", f"the dashboard has no {name}")
    return web.FileResponse(FILES[name], headers=HEADERS)


async def _books(_: str) -> Rows:
    return [((row["exchange"], row["symbol"]), _without_age(row)) for row in listed_books()]


async def _levels(symbol: str) -> Rows:
    exchanges = [exchange for exchange, served in books if served == symbol]
    found = await asyncio.gather(*(_book(exchange, symbol) for exchange in exchanges))
    return zip(exchanges, found, strict=True)


async def _book(exchange: str, symbol: str) -> Any:
    try:
        book = await owned_book(exchange, symbol, LEVELS)
    except Problem as error:
        return {"exchange": exchange, "symbol": symbol, "state": "stale", "reason": error.body["detail"]}
    if isinstance(book, Passed):
        return msgspec.Raw(book.body)
    return _without_age(book)


async def _trades(symbol: str) -> Rows:
    return [
        ((trade.exchange, trade.epoch, trade.sequence), trade)
        for trade in reversed(tail.trades(symbol, LISTED))
    ]


async def _orders(_: str) -> Rows:
    rows = [with_status(known) for known in reversed(tail.orders(LISTED))]
    return [(row["order_id"], row) for row in rows]


async def _positions(_: str) -> Rows:
    return [((position.exchange, position.symbol), position) for position in tail.positions()]


async def _strategies(_: str) -> Rows:
    return [("strategies", await all_strategies())]


async def _feeds(_: str) -> Rows:
    return [("feeds", await all_feeds())]


async def _stats(_: str) -> Rows:
    return [("stats", worker_stats(RECENT, NEWEST))]


def _without_age(row: dict[str, Any]) -> dict[str, Any]:
    """Readers reckon it themselves: else every row would be another at each tick."""
    return {key: value for key, value in row.items() if key != "age_ms"}


live = Stream(
    (
        Part("books", _books),
        Part("orders", _orders, interval=0.5, size=LISTED),
        Part("positions", _positions, interval=0.5),
        Part("strategies", _strategies, interval=2.0),
        Part("feeds", _feeds, interval=2.0),
        Part("stats", _stats, interval=2.0),
        Part("levels", _levels, interval=0.5, of_symbol=True),
        Part("trades", _trades, size=LISTED, of_symbol=True),
    ),
    interval=1 / config.stream_updates_per_second,
    limit=config.stream_clients,
)


async def _end(_: Any) -> None:
    live.end()


app.web.web_app.on_shutdown.append(_end)  # type: ignore[attr-defined]


@page("/stream")
async def stream(request: Any) -> Any:
    """Server-sent events: what changes, as it changes; `?symbol=` has that one's levels and trades too."""
    symbol = known_symbol(request.query["symbol"]) if request.query.get("symbol") else ""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    try:
        await live.serve(request, response, symbol)
    except Full as full:
        raise Problem(503, "too many readers", str(full)) from None
    return response
