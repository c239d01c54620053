"""The dashboard at `/`: its files, and the stream that it lives on."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from tradeflow.web.answers import Passed
from tradeflow.web.books import known_symbol, owned_book
from tradeflow.web.listings import listed_books
from tradeflow.web.pages import page
from tradeflow.web.parameters import Query
from tradeflow.web.problems import TOO_MANY_READERS, UNKNOWN_FILE, UNKNOWN_SYMBOL, Problem
from tradeflow.web.served import Symbol
from tradeflow.web.stream import Full, Part, Rows, Stream
from tradeflow.web.system import all_feeds, worker_stats
from tradeflow.web.trading import all_strategies, with_status
from tradeflow.wiring import app, books, config, tail

STATIC = Path(__file__).parent / "static"
FILES = {path.name: path for path in STATIC.iterdir()} | {
    "plotly.min.js": Path(str(files("plotly"))) / "package_data" / "plotly.min.js"
}

MEDIA = ("text/html", "text/css", "text/javascript", "image/svg+xml")

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


@page("/", media=("text/html",))
async def index(request: web.Request) -> web.FileResponse:
    """The dashboard."""
    return web.FileResponse(FILES["index.html"], headers=HEADERS)


@page("/static/{name}", UNKNOWN_FILE, media=MEDIA)
async def static(request: web.Request, name: Annotated[str, Meta(examples=["main.js"])]) -> web.FileResponse:
    """Its files."""
    if name not in FILES:
        raise Problem(UNKNOWN_FILE, f"the dashboard has no {name}", known=sorted(FILES))
    return web.FileResponse(FILES[name], headers=HEADERS)


async def _books(_: str) -> Rows:
    return [((row.exchange, row.symbol), _without_age(row)) for row in listed_books()]


async def _levels(symbol: str) -> Rows:
    exchanges = [exchange for exchange, served in books if served == symbol]
    found = await asyncio.gather(*(_book(exchange, symbol) for exchange in exchanges))
    return zip(exchanges, found, strict=True)


async def _book(exchange: str, symbol: str) -> Any:
    try:
        book = await owned_book(exchange, symbol, LEVELS)
    except Problem as error:
        reason = error.body["detail"]
    else:
        if not isinstance(book, Passed):
            return _without_age(book)
        if book.status == 200:
            return msgspec.Raw(book.body)
        reason = msgspec.json.decode(book.body)["detail"]
    return {"exchange": exchange, "symbol": symbol, "state": "stale", "reason": reason}


async def _trades(symbol: str) -> Rows:
    return [
        ((trade.exchange, trade.epoch, trade.sequence), trade)
        for trade in reversed(tail.trades(symbol, LISTED))
    ]


async def _orders(_: str) -> Rows:
    rows = [with_status(known) for known in reversed(tail.orders(LISTED))]
    return [(row.order_id, row) for row in rows]


async def _positions(_: str) -> Rows:
    return [((position.exchange, position.symbol), position) for position in tail.positions()]


async def _strategies(_: str) -> Rows:
    return [("strategies", await all_strategies())]


async def _feeds(_: str) -> Rows:
    return [("feeds", await all_feeds())]


async def _stats(_: str) -> Rows:
    return [("stats", worker_stats(RECENT, NEWEST))]


def _without_age(row: msgspec.Struct) -> dict[str, Any]:
    """Readers reckon it themselves: else every row would be another at each tick."""
    return {key: value for key, value in msgspec.structs.asdict(row).items() if key != "age_ms"}


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


class StreamQuery(Query, frozen=True, kw_only=True):
    symbol: Annotated[Symbol, Meta(description="Its levels and trades too; empty: none.")] = ""


@page("/stream", UNKNOWN_SYMBOL, TOO_MANY_READERS, media=("text/event-stream",))
async def stream(request: web.Request, query: StreamQuery) -> web.StreamResponse:
    """Server-sent events: what changes, as it changes."""
    symbol = known_symbol(query.symbol) if query.symbol else ""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    if request.method == "HEAD":
        return response
    try:
        await live.serve(request, response, symbol)
    except Full as full:
        raise Problem(TOO_MANY_READERS, str(full)) from None
    return response
