"""<exchange>-orderbook and <exchange>-trades: what a feed's callback was given."""

from __future__ import annotations

from tradeflow.messages.instruments import Listing
from tradeflow.messages.record import Level, Record


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


class RawInstrument(RawRecord, frozen=True, kw_only=True, tag="instrument"):
    """First in each epoch, and when the exchange has changed it.  `sequence` numbers the instruments of the symbol,
    apart from its book's records.  In the orderbook topic only."""

    listing: Listing


Raw = RawBook | RawTrade | RawDown | RawHeartbeat | RawInstrument
