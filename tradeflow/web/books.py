"""One book, from the worker that owns its symbol, or as it was from Kafka."""

from __future__ import annotations

import time
from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from tables.order_books import OrderBook
from tradeflow import topics
from tradeflow.messages import BookState
from tradeflow.symbols import SymbolError, canonical_symbol
from tradeflow.web import freshness, past
from tradeflow.web.answers import Passed, Tagged
from tradeflow.web.pages import page
from tradeflow.web.parameters import Depth, Query
from tradeflow.web.peers import ask, forwarded, owner, recovered
from tradeflow.web.problems import (
    NO_BOOKS_HERE,
    NOT_READY,
    OF_BOOK,
    OF_OWNER,
    OF_PAST,
    REBALANCING,
    UNKNOWN_BOOK,
    UNKNOWN_SYMBOL,
    Problem,
)
from tradeflow.web.served import Exchange, Place, ServedBook, Symbol
from tradeflow.wiring import books, config, maps, markets, owned_partitions, web_url


def known_symbol(text: str) -> str:
    known = sorted({symbol for _, symbol in books})
    try:
        symbol = canonical_symbol(text)
    except SymbolError as error:
        raise Problem(UNKNOWN_SYMBOL, str(error), known=known) from None
    if symbol not in known:
        raise Problem(UNKNOWN_SYMBOL, f"{symbol} is not served, but {', '.join(known)}", known=known)
    return symbol


def known_book(exchange: str, text: str) -> str:
    """The canonical symbol of a served book; Problem 404 for any other."""
    symbol = known_symbol(text)
    if (exchange, symbol) not in books:
        known = [f"{e}/{s}" for e, s in books]
        raise Problem(
            UNKNOWN_BOOK, f"{exchange} has no {symbol} here; /books lists what is served", known=known
        )
    return symbol


class BookQuery(Query, frozen=True, kw_only=True):
    depth: Depth = config.order_book_depth
    at: (
        Annotated[
            str,
            Meta(
                description="As it was at that moment: ISO 8601, or nanoseconds since 1970 in 16 to 19 digits.",
                examples=["2026-01-31T12:00:00Z"],
            ),
        ]
        | UnsetType
    ) = UNSET
    epoch: Annotated[int, Meta(ge=0, lt=10**15, description="With `sequence`: as it was.")] | UnsetType = (
        UNSET
    )
    sequence: (
        Annotated[int, Meta(ge=0, lt=10**15, description="As of that record of `epoch`.")] | UnsetType
    ) = UNSET


@page("/books/{exchange}/{symbol}", *OF_BOOK, *OF_OWNER, *OF_PAST)
async def book(
    request: web.Request, exchange: Exchange, symbol: Symbol, query: BookQuery
) -> Tagged[ServedBook] | ServedBook | Passed:
    """One book with its levels and provenance, now or as it was."""
    symbol = known_book(exchange, symbol)
    if target := past.target(query.at, query.epoch, query.sequence, exchange, symbol):
        moment = await past.moment(maps.symbols[symbol], (exchange, symbol), target)
        order_book = moment.rebuild.book(exchange, symbol)
        said = order_book.state, order_book.reason, None
        return _served(order_book, moment.rebuild.event_time, moment.partition, query.depth, *said)
    known = request.headers.get("If-None-Match", "")
    found = await owned_book(exchange, symbol, query.depth, forwarded=forwarded(request), known=known)
    if isinstance(found, Passed) or found.state != "live":
        return found
    version = (found.epoch, found.sequence, found.since, found.last_verified, query.depth)
    return Tagged(found, "-".join(map(str, version)))


async def owned_book(
    exchange: str, symbol: str, depth: int, *, forwarded: bool = False, known: str = ""
) -> ServedBook | Passed:
    """The book from its owner, this worker or another; `forwarded`: another one takes this worker for it; `known`: the
    tag of what the one who asks has already."""
    if config.role == "feeds":
        detail = "this worker only runs feeds (TRADEFLOW_ROLE): ask one with another role"
        raise Problem(NO_BOOKS_HERE, detail)
    partition = maps.symbols[symbol]
    url = owner(partition)
    if url != web_url:
        if forwarded:
            detail = "the partition has just moved; ask again in a second"
            raise Problem(REBALANCING, detail, partition=partition)
        return await ask(url / "books" / exchange / symbol % {"depth": depth}, known)
    if partition not in owned_partitions() or not recovered():
        raise Problem(
            NOT_READY,
            f"{symbol} is being loaded by this worker; ask again in a second. If that lasts, another worker says"
            f" that {web_url} is its address: set TRADEFLOW_WEB_ADVERTISED_HOST there",
            partition=partition,
        )
    live = markets[partition]  # from the table, where no event has come since the partitions were shared out
    order_book = live.books[exchange, symbol]
    state, reason = freshness.of_book(
        order_book.state,
        order_book.reason,
        order_book.heard,
        live.event_time,
        time.time_ns(),
        order_book.silence_ns,
    )
    age = age_ms(order_book.receipt_time)
    return _served(order_book, live.event_time, partition, depth, state, reason, age)


def _served(
    order_book: OrderBook,
    event_time: int,
    partition: int,
    depth: int,
    state: BookState,
    reason: str,
    age: float | None,
) -> ServedBook:
    bids, asks = order_book.book.top(depth)
    return ServedBook(
        exchange=order_book.exchange,
        symbol=order_book.symbol,
        state=state,
        reason=reason,
        since=order_book.since,
        epoch=order_book.epoch,
        sequence=order_book.sequence,
        exchange_sequence=order_book.exchange_sequence,
        exchange_time=order_book.exchange_time,
        receipt_time=order_book.receipt_time,
        event_time=event_time,
        last_verified=order_book.last_verified,
        age_ms=age,
        kafka=Place(topics.MARKET_EVENTS, partition, order_book.offset),
        levels=order_book.book.depth,
        bids=bids,
        asks=asks,
    )


def age_ms(since: int) -> float | None:
    """Milliseconds since a moment in nanoseconds; None where there was none."""
    return round((time.time_ns() - since) / 1e6, 3) if since else None
