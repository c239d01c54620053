"""The views that change something; each needs the token."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from faust.web import Request

from tradeflow import topics
from tradeflow.messages import ResyncRequest
from tradeflow.operators import Word, WordError, steer_for
from tradeflow.web.answers import Problem
from tradeflow.web.pages import changes_state
from tradeflow.web.views import known_book
from tradeflow.wiring import ask_for_resync, books, outbox, strategies, tail


@changes_state("/books/{exchange}/{symbol}/resync")
async def resync(request: Request, exchange: str, symbol: str) -> Any:
    """Ask the book's feed, wherever it runs, for a new subscription of it."""
    symbol = known_book(exchange, symbol)
    top = tail.top(exchange, symbol)
    if top is None:
        raise Problem(503, "not published yet", f"nobody has published {exchange}/{symbol} yet; see /feeds")
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
    return {"exchange": exchange, "symbol": symbol, "epoch": top.epoch, "asked": "a new subscription"}


@changes_state("/control/{action}")
async def control(request: Request, action: str) -> Any:
    """An operator's word on orders: halt, reduce-only, resume, parameters.  It is in force within a second."""
    try:
        word = msgspec.json.decode(await request.read() or b"{}", type=Word)
        steer = steer_for(action, word, str(getattr(request, "remote", "")), strategies, books)
    except (msgspec.MsgspecError, WordError) as error:
        raise Problem(400, "not understood", str(error)) from None
    offset = await outbox.send(topics.CONTROL, 0, b"steer", msgspec.json.encode(steer))
    return {"said": action, "strategy": steer.strategy, "symbol": steer.symbol, "offset": offset}
