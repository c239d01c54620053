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

from tradeflow.messages.books import BookQuality, BookState, Keyframe, NormalizedBook, TopOfBook
from tradeflow.messages.control import DeadLetter, FeedClaim, ResyncRequest, Steer, Terms
from tradeflow.messages.events import (
    BookRecord,
    Clock,
    Delta,
    Down,
    Heartbeat,
    Instrument,
    MarketEvent,
    Snapshot,
    Trade,
)
from tradeflow.messages.instruments import Listing
from tradeflow.messages.orders import Cause, Command, Execution, Liquidity, Order, OrderStatus, PositionRecord
from tradeflow.messages.raw import Raw, RawBook, RawDown, RawHeartbeat, RawInstrument, RawRecord, RawTrade
from tradeflow.messages.record import SCHEMA_VERSION, Event, Level, Record, SchemaVersion, Side

__all__ = [
    "SCHEMA_VERSION",
    "BookQuality",
    "BookRecord",
    "BookState",
    "Cause",
    "Clock",
    "Command",
    "DeadLetter",
    "Delta",
    "Down",
    "Event",
    "Execution",
    "FeedClaim",
    "Heartbeat",
    "Instrument",
    "Keyframe",
    "Level",
    "Liquidity",
    "Listing",
    "MarketEvent",
    "NormalizedBook",
    "Order",
    "OrderStatus",
    "PositionRecord",
    "Raw",
    "RawBook",
    "RawDown",
    "RawHeartbeat",
    "RawInstrument",
    "RawRecord",
    "RawTrade",
    "Record",
    "ResyncRequest",
    "SchemaVersion",
    "Side",
    "Snapshot",
    "Steer",
    "Terms",
    "TopOfBook",
    "Trade",
]
