"""What the views answer, beyond the records of Kafka: these types are what the OpenAPI document says."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from tradeflow.messages import (
    BookState,
    Execution,
    Level,
    Order,
    OrderStatus,
    PositionRecord,
    TopOfBook,
    Trade,
)
from tradeflow.messages.instruments import Listing

Exchange = Annotated[str, Meta(examples=["binance"])]
Symbol = Annotated[
    str, Meta(description="In any of the forms that `SYMBOLS` takes.", examples=["BTC-USDT", "btcusdt"])
]

# --- books ---


class Place(msgspec.Struct):
    """Of a record in Kafka."""

    topic: str
    partition: int
    offset: int


class ServedBook(msgspec.Struct, kw_only=True):
    """A book with its levels, and where it is from.  Times in nanoseconds since 1970."""

    exchange: str
    symbol: str
    state: BookState
    reason: str
    """Why it is in this state; empty when live."""
    since: int
    """Event time at which it came into this state."""
    epoch: int
    """The subscription; -1: none so far."""
    sequence: int
    """Of the last record applied in it."""
    exchange_sequence: int | None
    exchange_time: int | None
    receipt_time: int
    """When our socket had that record; 0: there was none."""
    event_time: int
    """Of the partition: the largest receipt time seen."""
    last_verified: int | None
    """Event time at which the exchange last confirmed the book: by a snapshot, or by a checksum that was right."""
    age_ms: float | None
    """Since `receipt_time`; null for an earlier book."""
    kafka: Place
    """Where that record is."""
    levels: tuple[int, int]
    """How many the book has: [bids, asks]."""
    bids: list[Level]
    """Best first."""
    asks: list[Level]


class ListedBook(TopOfBook, frozen=True, kw_only=True):
    """A book's last record in `top-of-book`.  Epoch -1: nobody has published it yet."""

    age_ms: float | None
    """Since `event_time`."""


class Books(msgspec.Struct):
    books: list[ListedBook]
    next: str | None


class Tops(msgspec.Struct):
    symbol: str
    exchanges: list[ListedBook]


class Trades(msgspec.Struct):
    symbol: str
    trades: list[Trade]
    next: str | None


class ServedInstrument(Listing, frozen=True, kw_only=True):
    """An instrument as its book's feed was told at its last connection."""

    exchange: str
    symbol: str
    receipt_time: int


class Instruments(msgspec.Struct):
    instruments: list[ServedInstrument]
    silent_workers: list[str]
    """Those that don't answer: what they know is missing here."""
    next: str | None


# --- trading ---


class ServedOrder(Order, frozen=True, kw_only=True):
    """An order, and what has become of it."""

    status: OrderStatus
    reason_code: str
    """Why it was denied, rejected, canceled or has expired."""
    reason: str
    filled_size: str
    leaves_size: str
    average_price: str | None


class Orders(msgspec.Struct):
    orders: list[ServedOrder]
    next: str | None


class OrderHistory(msgspec.Struct):
    order: ServedOrder
    cancel: Order | None
    """The command that asked for its end."""
    executions: list[Execution]
    """Oldest first."""


class Executions(msgspec.Struct):
    executions: list[Execution]
    next: str | None


class ServedPosition(PositionRecord, frozen=True, kw_only=True):
    age_ms: float | None
    """Since `event_time`."""


class Positions(msgspec.Struct):
    positions: list[ServedPosition]
    next: str | None


class StrategyRun(msgspec.Struct, kw_only=True):
    """A strategy on a symbol, or on a group of them."""

    strategy: str
    class_name: str = msgspec.field(name="class")
    symbols: list[str]
    parameters: dict[str, str]
    params_hash: str
    shadow: bool
    halted: str
    """Why it was halted for an error."""
    steered: str
    """What an operator has said of it."""
    orders: int
    """Since it began, restarts included."""
    open_orders: int
    pnl: dict[str, str]
    """Currency → realized and unrealized, after fees."""
    event_time: int
    lag_ms: float | None
    """How old the event time of its partition is."""
    worker: str


class StrategyTotal(msgspec.Struct, kw_only=True):
    """A strategy on all its symbols."""

    strategy: str
    symbols: list[str]
    orders: int
    open_orders: int
    pnl: dict[str, str]
    lag_ms: float | None
    """Of the symbol that lags most."""


class Strategies(msgspec.Struct):
    strategies: list[StrategyRun]
    totals: list[StrategyTotal]
    """Of all of them, whatever part is asked for."""
    silent_workers: list[str]
    """Those that don't answer: what they run is missing here."""
    next: str | None


# --- the system ---


class FeedStatus(TypedDict):
    feed: int
    worker: str
    exchange: str
    symbols: list[str]
    unavailable: dict[str, str]
    state: Literal["claiming", "connecting", "live", "waiting", "stopped"]
    since: int
    epoch: int
    messages: int
    errors: int
    ignored: int
    reconnects: int
    gaps: int
    off_tick: int
    resyncs: int
    resyncing: dict[str, str]
    last_error: str
    last_message_time: int | None


class FeedList(msgspec.Struct):
    feeds: list[FeedStatus]
    silent_workers: list[str]
    """Those that don't answer: their feeds are missing here."""
    next: str | None


class Health(msgspec.Struct):
    status: Literal["ok"]
    worker: str


class Ready(msgspec.Struct):
    status: Literal["ready"]
    partitions: list[int]


class Summary(TypedDict):
    count: int
    p50: float | None
    p99: float | None


class HaltedRun(TypedDict):
    strategy: str
    symbols: list[str]
    reason: str


class MarketCounts(TypedDict):
    snapshots: dict[str, int]
    deltas: dict[str, int]
    trades: dict[str, int]
    duplicates: int
    gaps: int
    ignored: int
    orders: dict[str, int]
    halted: list[HaltedRun]
    executions: dict[str, int]


class Checkpoints(TypedDict):
    count: int
    last_seconds: float


class WorkerStats(msgspec.Struct, kw_only=True):
    """Of this worker since it started; orders, executions and dead letters: of all workers."""

    worker: str
    uptime_s: float
    latency_ms: Summary
    """From the arrival of an order's cause at our socket to the broker's acknowledgement."""
    stages_ms: dict[str, Summary]
    feed_lag_ms: dict[str, float]
    orders: dict[str, int]
    executions: dict[str, int]
    conflicting_orders: int
    """Orders that came again under the same id with another content: must be 0."""
    dead_letters: int
    markets: dict[str, MarketCounts]
    """By partition."""
    checkpoints: Checkpoints
    unacknowledged_bytes: int


# --- changes ---


class ResyncAsked(msgspec.Struct):
    exchange: str
    symbol: str
    epoch: int
    asked: str


class Said(msgspec.Struct):
    said: str
    strategy: str
    symbol: str
    offset: int
    """In topic `control`."""


# --- the interface itself ---


class ProblemKind(msgspec.Struct):
    type: str
    title: str
    status: int
    meaning: str


OpenApi = dict[str, Any]
