"""Every record that tradeflow puts into Kafka, as frozen msgspec structs; `docs/reference/topics.md` is made from them.

Wire form: JSON, one record a Kafka record, key = canonical symbol, `v` = schema version, and for records of
which a topic holds several kinds a `type`.  Prices and sizes are decimal strings, exact to the last digit.
Times are integer nanoseconds since the Unix epoch, UTC; `None` = the exchange did not say.

A new version of tradeflow may add fields, each with a default, and leave `v` as it is: readers ignore what they don't
know and take the default for what isn't there, so old and new workers read each other.  Whatever else changes (a field
that goes or means something else, another kind of record or another value where some are listed) raises `v`; readers
refuse what they don't know, and workers of two `v` refuse to run together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SchemaVersion = Literal[1]
"""What readers accept."""
SCHEMA_VERSION: SchemaVersion = 1

Level = tuple[str, str]
"""(price, size): decimal strings, never exponents; as a delta's size "0" removes the level."""

Side = Literal["buy", "sell"]


# gc=False: they hold strings and numbers alone, which form no cycles.
class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    v: SchemaVersion = SCHEMA_VERSION


# --- raw: <exchange>-orderbook and <exchange>-trades, what a feed's callback was given -------------------------


class RawRecord(Record, frozen=True, kw_only=True):
    exchange: str
    symbol: str
    """As the feed names it (cryptofeed's normal form); normalize makes it canonical."""
    epoch: int
    """Offset of the feed's claim in `feed-claims`: one unbroken subscription."""
    sequence: int
    """0, 1, 2 … without a hole in (topic, symbol, epoch); `down`, `heartbeat` repeat the last one (-1: none)."""
    receipt_time: int


class RawBook(RawRecord, frozen=True, kw_only=True, tag="book"):
    snapshot: bool
    """True: the whole book; False: absolute sizes of the levels that changed, size 0 removes."""
    bids: list[Level]
    asks: list[Level]
    exchange_time: float | str | None = None
    """As the exchange sent it: seconds as a number, or ISO 8601."""
    exchange_sequence: int | None = None
    checksum: int | str | None = None
    """The exchange's, found right by the feed; null where there is none, or it wasn't looked at."""
    depth: int | None = None
    """Where the exchange cuts the book silently (Kraken): levels a side beyond which readers cut as well."""


class RawTrade(RawRecord, frozen=True, kw_only=True, tag="trade"):
    side: str
    """The taker's side."""
    price: str
    size: str
    trade_id: str | None = None
    order_type: str | None = None
    exchange_time: float | str | None = None


class RawDown(RawRecord, frozen=True, kw_only=True, tag="down"):
    """The subscription of this epoch has ended: nothing of it will follow.  In the orderbook topic only."""

    reason: str


class RawHeartbeat(RawRecord, frozen=True, kw_only=True, tag="heartbeat"):
    """The subscription is alive and has sent nothing beyond `sequence`.  In the orderbook topic only."""

    reason: str = ""
    """Why a record of that number never comes, where the feed itself has seen that the book has a gap."""


class Listing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An instrument as its exchange lists it; null: the exchange doesn't say."""

    kind: Literal["spot", "linear", "inverse", "quanto"]
    """What a size counts: the base currency (spot), or contracts that pay in the quote currency (linear), the
    base currency (inverse), or a third one (quanto)."""
    base: str
    quote: str
    tick: str | None = None
    """Prices are multiples of it."""
    lot: str | None = None
    """Sizes of orders are multiples of it."""
    min_notional: str | None = None
    """Least price × size of an order, in the quote currency."""
    multiplier: str | None = None
    """A contract is so much of the base currency (linear), of the quote currency (inverse), or of `settle` for each
    unit of the price (quanto)."""
    settle: str | None = None
    """The currency in which contracts pay."""


class RawInstrument(RawRecord, frozen=True, kw_only=True, tag="instrument"):
    """First in each epoch, and when the exchange has changed it.  `sequence` numbers the instruments of the symbol,
    apart from its book's records.  In the orderbook topic only."""

    listing: Listing


Raw = RawBook | RawTrade | RawDown | RawHeartbeat | RawInstrument


# --- market-events: the one ordered log of a symbol partition ----------------------------------------------------


class Event(Record, frozen=True, kw_only=True):
    receipt_time: int
    """When the feed's socket delivered it; for `clock`, the writer's time."""


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


# --- orders: what strategies want, what became of it ---------------------------------------------------------------


class Cause(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The one event of the log that made a strategy act."""

    kind: Literal["book", "trade", "timer", "execution", "control"]
    """control: an operator's word, `sequence` its offset in topic `control`."""
    exchange: str | None = None
    symbol: str | None = None
    epoch: int | None = None
    sequence: int | None = None
    timer: str | None = None
    time: int | None = None
    execution: str | None = None


class Order(Record, frozen=True, kw_only=True):
    """A command of a strategy, value of topic `orders`.  Same cause, same id, same content, at every replay.

    NEW opens the order of this id; CANCEL, once an order, asks for its end and repeats what it is."""

    order_id: str
    command: Literal["NEW", "CANCEL"] = "NEW"
    strategy: str
    params_hash: str
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


class Steer(Event, frozen=True, kw_only=True, tag="steer"):
    """An operator's word in topic `control`, copied from there into each partition of the log."""

    offset: int = -1
    """In topic `control`, told by the copies; one at or below the last changes nothing."""
    action: Literal["halt", "reduce-only", "resume", "parameters"]
    strategy: str = ""
    """Empty: all."""
    symbol: str = ""
    """Empty: all."""
    parameters: dict[str, str] = {}
    """Of `action: parameters`: name → value as in strategies.toml."""
    by: str
    reason: str = ""


MarketEvent = Snapshot | Delta | Trade | Down | Heartbeat | Instrument | Clock | Command | Execution | Steer


# --- outputs -----------------------------------------------------------------------------------------------------

BookState = Literal["syncing", "live", "stale", "broken"]


class BookQuality(Record, frozen=True, kw_only=True):
    """What every published or served book says of itself."""

    exchange: str
    symbol: str
    state: BookState
    reason: str
    """Why it is in this state; empty when live."""
    epoch: int
    sequence: int
    exchange_sequence: int | None
    exchange_time: int | None
    event_time: int
    """Event time of the partition when this was published (largest receipt time seen)."""
    last_verified: int | None = None
    """Event time at which the exchange last confirmed the book: by a snapshot, or by a checksum that was right."""


class TopOfBook(BookQuality, frozen=True, kw_only=True):
    bid: Level | None
    ask: Level | None
    mid: str | None
    spread: str | None
    spread_pct: str | None
    """100 × spread / mid, rounded half even to 6 decimals."""


class NormalizedBook(BookQuality, frozen=True, kw_only=True):
    bids: list[Level]
    """Best first, at most 20."""
    asks: list[Level]


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


class Keyframe(Record, frozen=True, kw_only=True):
    """Value of `keyframes`: a whole book as of one place of the log.  What follows in the log makes every later one."""

    exchange: str
    symbol: str
    epoch: int
    sequence: int
    """Of the last record applied; -1: none of this epoch."""
    event_time: int
    offset: int
    """In `market-events`, same partition: the book is as of all records up to this one."""
    book: msgspec.Raw
    """All of it: state, provenance, every level, as tables/order_books.py writes it."""


class DeadLetter(Record, frozen=True, kw_only=True):
    """A record that could not be used, value of topic `dead-letters`."""

    topic: str
    partition: int
    offset: int
    reason: str
    key: str | None
    original: str
    """The record's bytes, base64."""
    time: int


class FeedClaim(Record, frozen=True, kw_only=True):
    """Value of `feed-claims`; the offset of this record is the epoch that it claims."""

    feed: int
    exchange: str
    symbols: list[str]
    worker: str
    time: int


class ResyncRequest(Record, frozen=True, kw_only=True, tag="resync"):
    """To a feed, through its partition of `feed-assignments`."""

    feed: int
    exchange: str
    symbol: str
    epoch: int
    sequence: int = -1
    """Of the last record that is in the book that asks."""
    reason: str
    time: int


class Terms(Record, frozen=True, kw_only=True, tag="terms"):
    """Value of `control`, key = scope: what a worker takes for agreed when it starts."""

    v: int = SCHEMA_VERSION  # type: ignore[assignment]
    """Any: this is how workers of two versions learn of each other."""
    scope: str
    """`maps`, `records`, or a consumer group's id."""
    terms: dict[str, str]
    worker: str
    time: int
