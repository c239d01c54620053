"""What a `Trial` collects: orders as they were sent, and what became of them, their numbers as Decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from tradeflow.messages import Cause, Liquidity, OrderStatus, Side
from tradeflow.strategies.actions import OrderType, TimeInForce


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it went to topic `orders`, its numbers as Decimal."""

    order_id: str
    command: Literal["NEW", "CANCEL"]
    strategy: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    post_only: bool
    price: Decimal | None
    size: Decimal
    tag: str
    event_time: int
    cause: Cause
    shadow: bool


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order, its numbers as Decimal: the gate's verdict (`number` -1) or a report."""

    order_id: str
    number: int
    strategy: str
    exchange: str
    symbol: str
    side: Side
    status: OrderStatus
    reason_code: str
    reason: str
    price: Decimal | None = msgspec.field(name="last_price")
    """Of this fill; None where it is none."""
    size: Decimal | None = msgspec.field(name="last_size")
    filled: Decimal = msgspec.field(name="filled_size")
    leaves: Decimal = msgspec.field(name="leaves_size")
    liquidity: Liquidity | None
    fee: Decimal | None
    fee_currency: str | None
    receipt_time: int
