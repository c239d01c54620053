"""The views that change something; each needs the token."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from tradeflow import topics
from tradeflow.messages import ResyncRequest
from tradeflow.web.books import known_book
from tradeflow.web.pages import changes_state
from tradeflow.web.problems import NOT_POSSIBLE, NOT_PUBLISHED, OF_BOOK, UNKNOWN_ACTION, Problem
from tradeflow.web.served import Exchange, ResyncAsked, Said, Symbol
from tradeflow.wiring import ask_for_resync, books, outbox, strategies, tail
from tradeflow.worker.operators import ACTIONS, Action, Word, WordError, steer_for


@changes_state("/books/{exchange}/{symbol}/resync", *OF_BOOK, NOT_PUBLISHED)
async def resync(request: web.Request, exchange: Exchange, symbol: Symbol) -> ResyncAsked:
    """Ask the book's feed, wherever it runs, for a new subscription of it."""
    symbol = known_book(exchange, symbol)
    top = tail.top(exchange, symbol)
    if top is None:
        raise Problem(NOT_PUBLISHED, f"nobody has published {exchange}/{symbol} yet; see /feeds")
    asked = ResyncRequest(
        feed=0,  # filled in on the way
        exchange=exchange,
        symbol=symbol,
        epoch=top.epoch,
        sequence=top.sequence,
        reason="an operator asked for it",
        time=time.time_ns(),
    )
    ask_for_resync(asked)
    return ResyncAsked(exchange, symbol, top.epoch, "a new subscription")


@changes_state("/control/{action}", UNKNOWN_ACTION, NOT_POSSIBLE)
async def control(
    request: web.Request, action: Annotated[Action, Meta(description="What is said.")], body: Word
) -> Said:
    """An operator's word on orders: halt, reduce-only, resume, parameters.  It is in force within a second."""
    if action not in ACTIONS:
        detail = f"{action!r} is none of {', '.join(ACTIONS)}"
        raise Problem(UNKNOWN_ACTION, detail, known=ACTIONS)
    try:
        steer = steer_for(action, body, request.remote or "", strategies, books)
    except WordError as error:
        raise Problem(NOT_POSSIBLE, str(error)) from None
    offset = await outbox.send(topics.CONTROL, 0, b"steer", msgspec.json.encode(steer))
    return Said(action, steer.strategy, steer.symbol, offset)
