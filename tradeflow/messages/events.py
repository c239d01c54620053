"""market-events: the one ordered log of a symbol partition."""

from __future__ import annotations

from tradeflow.messages.control import Steer
from tradeflow.messages.instruments import Listing
from tradeflow.messages.orders import Command, Execution
from tradeflow.messages.record import Event, Level, Side


class BookRecord(Event, frozen=True, kw_only=True):
    exchange: str
    symbol: str
    epoch: int
    sequence: int


class Snapshot(BookRecord, frozen=True, kw_only=True, tag="snapshot"):
    bids: list[Level]
    asks: list[Level]
    exchange_time: int | None = None
    exchange_sequence: int | None = None
    checksum: int | None = None
    depth: int | None = None


class Delta(BookRecord, frozen=True, kw_only=True, tag="delta"):
    bids: list[Level]
    asks: list[Level]
    exchange_time: int | None = None
    exchange_sequence: int | None = None
    checksum: int | None = None
    depth: int | None = None


class Trade(BookRecord, frozen=True, kw_only=True, tag="trade"):
    """Its (epoch, sequence) number the trades of the symbol, apart from the book's.

    Also the value of topic `trades`."""

    side: Side
    price: str
    size: str
    trade_id: str | None = None
    order_type: str | None = None
    exchange_time: int | None = None


class Down(BookRecord, frozen=True, kw_only=True, tag="down"):
    reason: str


class Heartbeat(BookRecord, frozen=True, kw_only=True, tag="heartbeat"):
    reason: str = ""
    """Why the book has a gap, where its feed has seen that itself."""


class Instrument(BookRecord, frozen=True, kw_only=True, tag="instrument"):
    """Its (epoch, sequence) number the instruments of the symbol, apart from the book's."""

    listing: Listing


class Clock(Event, frozen=True, kw_only=True, tag="clock"):
    """Written four times a second by the partition's owner, so that event time moves where nothing else does."""


MarketEvent = Snapshot | Delta | Trade | Down | Heartbeat | Instrument | Clock | Command | Execution | Steer
