"""What a strategy may ask for: `buy`, `sell` and `cancel` make actions, and a handler yields them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Literal, Protocol

import msgspec

from tradeflow.messages import Side

Exact = Decimal | str | int
"""An exact number; a float is refused, for it can't hold most prices."""

OrderType = Literal["LIMIT", "MARKET"]
TimeInForce = Literal["GTC", "IOC", "FOK"]


class ActionError(ValueError):
    """An order that makes no sense; raised where the strategy makes it."""


class Market(Protocol):
    """Where an order goes: a book or a trade will do."""

    @property
    def exchange(self) -> str: ...
    @property
    def symbol(self) -> str: ...


class Sent(Protocol):
    """An order that was sent: one of `ctx.orders`, an execution, or one of `trial.sent`."""

    @property
    def order_id(self) -> str: ...


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler may yield."""


class NewOrder(Action, frozen=True, kw_only=True):
    """Its id, cause and time are added when it is yielded."""

    exchange: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    post_only: bool
    price: Decimal | None
    """None for a MARKET order."""
    size: Decimal
    tag: str


class Cancel(Action, frozen=True, kw_only=True):
    order_id: str


def buy(
    book: Market,
    price: Exact | None,
    size: Exact,
    *,
    type: OrderType = "LIMIT",
    tif: TimeInForce = "GTC",
    post_only: bool = False,
    tag: str = "",
) -> NewOrder:
    """An order to buy `size` on the book's exchange, at `price` or lower (None with type="MARKET").

    Raises ActionError for a float, a number that isn't above zero, or a contradiction."""
    return _order("buy", book, price, size, type, tif, post_only, tag)


def sell(
    book: Market,
    price: Exact | None,
    size: Exact,
    *,
    type: OrderType = "LIMIT",
    tif: TimeInForce = "GTC",
    post_only: bool = False,
    tag: str = "",
) -> NewOrder:
    """An order to sell `size` on the book's exchange, at `price` or higher (None with type="MARKET").

    Raises ActionError for a float, a number that isn't above zero, or a contradiction."""
    return _order("sell", book, price, size, type, tif, post_only, tag)


def cancel(order: Sent) -> Cancel:
    """The end of an order of the strategy's own.  It asks for nothing where that was asked for before, or the order
    has ended; and it may come too late."""
    return Cancel(order_id=order.order_id)


def _order(
    side: Side,
    book: Market,
    price: Exact | None,
    size: Exact,
    type: OrderType,
    tif: TimeInForce,
    post_only: bool,
    tag: str,
) -> NewOrder:
    if type not in ("LIMIT", "MARKET") or tif not in ("GTC", "IOC", "FOK"):
        raise ActionError(f"type={type!r}, tif={tif!r}: use LIMIT or MARKET, and GTC, IOC or FOK")
    if (type == "MARKET") != (price is None):
        raise ActionError(f"{type} order with price {price}: a LIMIT order has a price, a MARKET order None")
    if post_only and (type == "MARKET" or tif != "GTC"):
        raise ActionError(f"post_only with {type} {tif}: only a LIMIT GTC order can wait in the book")
    return NewOrder(
        exchange=book.exchange,
        symbol=book.symbol,
        side=side,
        type=type,
        tif=tif,
        post_only=post_only,
        price=None if price is None else _positive("price", price),
        size=_positive("size", size),
        tag=tag,
    )


def _positive(name: str, value: Exact) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (Decimal, str, int)):
        raise ActionError(f"{name}={value!r}: write it exactly, as Decimal or str (no float can hold 0.1)")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ActionError(f"{name}={value!r} is not a number") from None
    if not number.is_finite() or number <= 0:
        raise ActionError(f"{name}={value!r}: must be above zero")
    return number
