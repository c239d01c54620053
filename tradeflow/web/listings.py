"""Lists of books, tops, trades and instruments: from this worker's tail, instruments from all workers."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from tradeflow.messages import TopOfBook, Trade
from tradeflow.web import freshness
from tradeflow.web.books import age_ms, known_symbol
from tradeflow.web.pages import page
from tradeflow.web.paging import part_of
from tradeflow.web.parameters import Newest, Paged
from tradeflow.web.peers import forwarded, of_all_workers
from tradeflow.web.problems import LOST_CURSOR, UNKNOWN_SYMBOL
from tradeflow.web.served import (
    Books,
    Instruments,
    ListedBook,
    ServedInstrument,
    Symbol,
    Tops,
    Trades,
)
from tradeflow.wiring import books, markets, tail
from tradeflow.worker.tail import MAX_TRADES


@page("/books", LOST_CURSOR)
async def all_books(request: web.Request, query: Paged) -> Books:
    """Every served book: state, top, age.  One that nobody has published yet is `syncing`."""
    return Books(*part_of(listed_books(), query, lambda one: f"{one.exchange}/{one.symbol}"))


def listed_books() -> list[ListedBook]:
    tail_age = tail.age()
    tops = [tail.top(exchange, symbol) or _unpublished(exchange, symbol) for exchange, symbol in books]
    return [_with_age(top, tail_age) for top in tops]


def _unpublished(exchange: str, symbol: str) -> TopOfBook:
    return TopOfBook(
        exchange=exchange,
        symbol=symbol,
        state="syncing",
        reason="not published yet",
        epoch=-1,
        sequence=-1,
        exchange_sequence=None,
        exchange_time=None,
        event_time=0,
        bid=None,
        ask=None,
        mid=None,
        spread=None,
        spread_pct=None,
    )


def _with_age(top: TopOfBook, tail_age: float) -> ListedBook:
    state, reason = freshness.of_list(top.state, top.reason, top.event_time, time.time_ns(), tail_age)
    said = msgspec.structs.asdict(top) | {"state": state, "reason": reason}
    return ListedBook(**said, age_ms=age_ms(top.event_time))


@page("/top-of-book/{symbol}", UNKNOWN_SYMBOL)
async def top_of_book(request: web.Request, symbol: Symbol) -> Tops:
    """The best bid and ask of a symbol on all its exchanges."""
    symbol = known_symbol(symbol)
    tail_age = tail.age()
    return Tops(symbol, [_with_age(top, tail_age) for top in tail.tops() if top.symbol == symbol])


class TradesQuery(Newest, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_TRADES, description="Rows of one answer.")] = 100


@page("/trades/{symbol}", UNKNOWN_SYMBOL, LOST_CURSOR)
async def trades(request: web.Request, symbol: Symbol, query: TradesQuery) -> Trades:
    """The last trades of a symbol on all its exchanges, newest first."""
    symbol = known_symbol(symbol)

    def name(trade: Trade) -> str:
        return f"{trade.exchange}/{trade.epoch}/{trade.sequence}"

    return Trades(symbol, *part_of(tail.trades(symbol, MAX_TRADES), query, name))


@page("/instruments", LOST_CURSOR)
async def instruments(request: web.Request, query: Paged) -> Instruments:
    """What the exchanges say of the served instruments: tick, lot and so on, from all workers of this group."""
    own = [
        ServedInstrument(
            exchange=one.exchange,
            symbol=one.symbol,
            receipt_time=one.receipt_time,
            **msgspec.structs.asdict(one.listing),
        )
        for market in markets.owned().values()
        for one in market.instruments
    ]
    found, silent = await of_all_workers("instruments", own, ServedInstrument, forwarded=forwarded(request))
    found.sort(key=lambda one: (one.exchange, one.symbol))
    rows, following = part_of(found, query, lambda one: f"{one.exchange}/{one.symbol}")
    return Instruments(rows, silent, following)
