"""What strategies want, and what became of it."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from tradeflow.messages.record import Event, Record, Side

AGENT_NAME = re.compile(r"[a-z0-9._-]{1,64}", re.IGNORECASE | re.ASCII)
"""What a plain agent may call itself in its orders."""


class Cause(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The one event of the log that made a strategy act."""

    kind: Literal["book", "trade", "timer", "execution", "control", "agent"]
    """control: an operator's word, `sequence` its offset in topic `control`.  agent: no event of the log, but a plain
    agent's decision; the book that it looked at, if it says so."""
    exchange: str | None = None
    symbol: str | None = None
    epoch: int | None = None
    sequence: int | None = None
    timer: str | None = None
    time: int | None = None
    execution: str | None = None


class Order(Record, frozen=True, kw_only=True):
    """A command of a strategy or a plain agent, value of topic `orders`.  A strategy's: same cause, same id, same
    content, at every replay.

    NEW opens the order of this id; CANCEL, once an order, asks for its end and repeats what it is."""

    order_id: str
    command: Literal["NEW", "CANCEL"] = "NEW"
    strategy: str
    """Who sent it: a strategy's name, or a plain agent's."""
    params_hash: str = ""
    """Empty: a plain agent's."""
    exchange: str
    symbol: str
    side: Side
    type: Literal["LIMIT", "MARKET"] = "LIMIT"
    tif: Literal["GTC", "IOC", "FOK"] = "GTC"
    post_only: bool = False
    price: str | None
    """None for a MARKET order."""
    size: str
    tag: str = ""
    event_time: int
    cause: Cause
    shadow: bool = False
    """Recorded, never executed."""


OrderStatus = Literal[
    "INITIALIZED",
    "DENIED",
    "SUBMITTED",
    "REJECTED",
    "ACCEPTED",
    "PARTIALLY_FILLED",
    "FILLED",
    "PENDING_CANCEL",
    "CANCELED",
    "EXPIRED",
]

Liquidity = Literal["maker", "taker"]


class Execution(Event, frozen=True, kw_only=True, tag="execution"):
    """What became of an order: the gate's verdict (DENIED, SUBMITTED) or a venue's report.

    Value of topic `executions`; a venue's reports are events of `market-events` as well."""

    exchange: str
    symbol: str
    execution_id: str
    order_id: str
    number: int
    """0, 1, 2 … of the venue's reports on this order; -1: the gate's verdict.  A number seen before changes nothing."""
    exchange_order_id: str | None = None
    strategy: str
    side: Side
    status: OrderStatus
    reason_code: str = ""
    """Why DENIED, REJECTED, CANCELED or EXPIRED: a fixed word; `reason` says it with values and limits."""
    reason: str = ""
    last_price: str | None = None
    """Of this fill; None where it is none."""
    last_size: str | None = None
    filled_size: str = "0"
    leaves_size: str
    average_price: str | None = None
    """Of all fills so far; where 18 significant digits don't hold it, rounded half even to 12."""
    liquidity: Liquidity | None = None
    fee: str | None = None
    """Of this fill; below zero is a rebate."""
    fee_currency: str | None = None
    trade_id: str | None = None
    """The exchange's id of the trade that filled it, where one did."""
    exchange_time: int | None = None
    """When it happened at the venue; `receipt_time` is when we know it."""
    simulated: bool = True


class Command(Event, frozen=True, kw_only=True, tag="command"):
    """An order on its way to the gate, which decides at this place of the log."""

    order: Order
    offset: int
    """In topic `orders`."""


class PositionRecord(Record, frozen=True, kw_only=True):
    """Value of topic `positions`: one book's purse, after each change and now and then."""

    exchange: str
    symbol: str
    size: str
    """Bought minus sold since the start; of contracts their number, below zero when short."""
    average_price: str | None
    realized: str
    unrealized: str | None
    """At the mid of the live book; None where there is none."""
    currency: str
    """Of realized and unrealized."""
    balances: dict[str, str]
    """Currency → balance of this book's purse."""
    fees: dict[str, str]
    """Currency → fees paid."""
    event_time: int
