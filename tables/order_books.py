"""One exchange's book of one symbol, with the state that says whether it may be believed.

    syncing ──snapshot──▶ live ──silence──▶ stale ──next record──▶ live
       any ──gap, crossed, empty side, jump──▶ broken ──snapshot──▶ live
       any ──down──▶ stale, its epoch closed ──snapshot of a newer epoch──▶ live

A record is applied once: what is at or below the book's (epoch, sequence) changes nothing.  A book that isn't
live is never repaired by guess; only what its feed sends next makes it live again.
"""

from __future__ import annotations

import enum
import zlib
from typing import Literal, Protocol

import msgspec

from tables.book import Book, Level

State = Literal["syncing", "live", "stale", "broken"]

_COMPRESS_BEYOND = 256 * 1024  # bytes; a whole Coinbase book would pass Kafka's limit of 1 MB a record


class Record(Protocol):
    """What every record of a book says of itself."""

    @property
    def epoch(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def receipt_time(self) -> int: ...


class Beat(Record, Protocol):
    """A heartbeat; `reason`: why its number is that of a record that never comes."""

    @property
    def reason(self) -> str: ...


class Levels(Record, Protocol):
    """A snapshot, or a delta (absolute sizes)."""

    @property
    def bids(self) -> list[Level]: ...
    @property
    def asks(self) -> list[Level]: ...
    @property
    def exchange_time(self) -> int | None: ...
    @property
    def exchange_sequence(self) -> int | None: ...
    @property
    def depth(self) -> int | None: ...
    @property
    def checksum(self) -> int | None:
        """The exchange's, found right by the feed; None where there is none, or it wasn't looked at."""


class Effect(enum.Enum):
    """What a record did to a book."""

    APPLIED = "applied"
    """The book is now as of this record."""
    HEARD = "heard"
    """A sign of life, or a down: no level changed, the state may have."""
    DUPLICATE = "duplicate"
    """Seen before, or of an epoch that is over: nothing changed."""
    UNUSABLE = "unusable"
    """A delta for a book that waits for a snapshot: only noted as a sign of life."""
    GAP = "gap"
    """Records are missing before this one: the book is broken."""


class OrderBook:
    """A Book and its provenance.  Times are integer nanoseconds; `now` is the event time of the partition."""

    __slots__ = (
        "asked",
        "book",
        "closed",
        "depth",
        "epoch",
        "exchange",
        "exchange_sequence",
        "exchange_time",
        "heard",
        "last_verified",
        "max_jump",
        "mid",
        "offset",
        "pending",
        "published",
        "reason",
        "receipt_time",
        "sequence",
        "silence_ns",
        "since",
        "state",
        "symbol",
    )

    def __init__(
        self, exchange: str, symbol: str, silence_ns: int = 5_000_000_000, max_jump: float = 0.0
    ) -> None:
        """`silence_ns`: event time without a sign of life after which it is stale; `max_jump`: share of the mid by
        which a single delta may move it, 0 = any."""
        self.exchange = exchange
        self.symbol = symbol
        self.silence_ns = silence_ns
        self.max_jump = max_jump
        self.mid = 0.0
        """Roughly, to tell a jump; 0 where there is nothing to compare with."""
        self.book = Book()
        self.depth: int | None = None
        """Where the exchange cuts the book without saying so (Kraken), levels a side."""
        self.state: State = "syncing"
        self.reason = "waits for the first snapshot"
        self.since = 0
        """Event time at which it came into this state."""
        self.epoch = -1
        self.sequence = -1
        self.closed = False
        """The epoch is over; nothing more of it counts."""
        self.exchange_sequence: int | None = None
        self.exchange_time: int | None = None
        self.receipt_time = 0
        """Of the last applied record."""
        self.heard = 0
        """Receipt time of the last sign of life in this epoch, event time where it claims to be later."""
        self.last_verified: int | None = None
        """Event time at which the exchange last confirmed the whole: by a snapshot, or by a checksum that was right."""
        self.offset = -1
        """Kafka offset of the last applied record, in the log that the book is made from."""
        self.published = 0
        """Event time of its last record in `normalized-books`; `pending`: it has changed since."""
        self.pending = False
        self.asked = 0
        """Event time of the last resync request."""

    @property
    def live(self) -> bool:
        return self.state == "live"

    # --- transitions ---

    def snapshot(self, record: Levels, now: int) -> Effect:
        """The whole book, of a newer epoch or later in this one: what was wrong before no longer matters."""
        if self._is_past(record):
            return Effect.DUPLICATE
        self.epoch, self.closed = record.epoch, False
        self.depth = record.depth
        self.book.replace(record.bids, record.asks)
        self.mid = 0.0  # whatever it says is where the market is
        self.last_verified = now
        self._hear(record, now)
        self._is_at(record, True, now)
        return Effect.APPLIED

    def delta(self, record: Levels, now: int) -> Effect:
        """The levels that changed; counts only if it is the very next record."""
        if (
            record.sequence != self.sequence + 1
            or record.epoch != self.epoch
            or self.closed
            or self.state == "broken"
            or self.state == "syncing"
        ):
            return self._out_of_turn(record, now)
        if record.receipt_time > self.heard:  # _hear() and Book.update(), without calls: this is the hot path
            self.heard = record.receipt_time if record.receipt_time < now else now
        if record.depth is not None:
            self.depth = record.depth
        if record.checksum is not None:
            self.last_verified = now
        moved, book = False, self.book
        if record.bids:
            moved = book.bids.update(record.bids)
        if record.asks:
            moved = book.asks.update(record.asks) or moved
        self._is_at(record, moved, now)
        return Effect.APPLIED

    def heartbeat(self, record: Beat, now: int) -> Effect:
        """The feed is alive and has sent nothing beyond the record's sequence; or says that what it has is a gap."""
        if record.epoch < self.epoch or (record.epoch == self.epoch and self.closed):
            return Effect.DUPLICATE
        if record.epoch != self.epoch:
            self._begin(record.epoch, now)
        heard = self.heard
        self._hear(record, now)
        if self.state == "broken":
            return Effect.UNUSABLE
        if record.sequence > self.sequence:
            self._gap(record, now, record.reason)
            return Effect.GAP
        if self.heard == heard:
            return Effect.DUPLICATE
        if self.state == "stale":
            self._judge(now)
        return Effect.HEARD

    def down(self, record: Record, reason: str, now: int) -> Effect:
        """The subscription has ended; whatever else of its epoch turns up is late."""
        if record.epoch < self.epoch or (record.epoch == self.epoch and self.closed):
            return Effect.DUPLICATE
        if record.epoch != self.epoch:
            self._begin(record.epoch, now)
        self.closed = True
        self._become("stale", f"down: {reason}", now)
        return Effect.HEARD

    def silence(self, now: int) -> bool:
        """Time has passed: a live book without a recent sign of life is stale.  True if it became so."""
        if self.state != "live" or now - self.heard <= self.silence_ns:
            return False
        self._judge(now)
        return True

    def spoil(self, reason: str, now: int) -> None:
        """A record that can't be applied: nothing that is in the book may be believed."""
        self.book.replace((), ())
        self._become("broken", reason, now)

    def _out_of_turn(self, record: Levels, now: int) -> Effect:
        """A delta that isn't the very next record of a book with levels."""
        if self._is_past(record):
            return Effect.DUPLICATE
        if record.epoch != self.epoch:
            self._begin(record.epoch, now)
        self._hear(record, now)
        if self.state == "broken":
            return Effect.UNUSABLE
        self._gap(record, now)
        return Effect.GAP

    def _hear(self, record: Record, now: int) -> None:
        """A sign of life; one from the future would hide any silence until then."""
        if record.receipt_time > self.heard:
            self.heard = min(record.receipt_time, now)

    def _is_past(self, record: Record) -> bool:
        if record.epoch == self.epoch:
            return self.closed or record.sequence <= self.sequence
        return record.epoch < self.epoch

    def _begin(self, epoch: int, now: int) -> None:
        """A newer subscription.  The levels stay what was last known, as of `receipt_time` and the exchange's
        own time and sequence: nothing but a snapshot makes the book live again, and that replaces them."""
        self.epoch, self.sequence, self.closed, self.heard = epoch, -1, False, 0
        self._become("syncing", f"waits for the snapshot of epoch {epoch}", now)

    def _is_at(self, record: Levels, moved: bool, now: int) -> None:
        """The levels are those of `record`; `moved`: a best price may be another."""
        self.sequence = record.sequence
        self.exchange_sequence = record.exchange_sequence
        self.exchange_time = record.exchange_time
        self.receipt_time = record.receipt_time
        if self.depth is not None and self.book.cut(self.depth):
            moved = True
        # A live book stays live while its touch and the time of its last sign of life are good.
        if moved or self.state != "live" or now - self.heard > self.silence_ns:
            self._judge(now)

    def _judge(self, now: int) -> None:
        """Live means: contiguous since its snapshot, both sides there, not crossed, and recent."""
        book = self.book
        if not book.bids.prices or not book.asks.prices:
            self._become(
                "broken", f"empty side: {len(book.bids.prices)} bids, {len(book.asks.prices)} asks", now
            )
            return
        bid, ask, scale = book.touch()
        if bid >= ask:
            said = f"bid {book.bids.prices[-1]} is not below ask {book.asks.prices[-1]}"
            self._become("broken", f"crossed: {said}", now)
        elif self.max_jump and (was := self._jump((bid + ask) / (2 * 10**scale))):
            said = f"bid {book.bids.prices[-1]}, ask {book.asks.prices[-1]}"
            self._become("broken", f"jump: from a mid of about {was:.10g} to {said} at once", now)
        elif now - self.heard > self.silence_ns:  # also what comes late: a log is being caught up with
            self._become("stale", f"silent for more than {self.silence_ns / 1e9:g} s", now)
        elif self.state != "live":
            self._become("live", "", now)

    def _jump(self, mid: float) -> float:
        """The mid so far, if `mid` is absurdly far from it; else 0, and `mid` is remembered."""
        was = self.mid
        if was and abs(mid - was) > was * self.max_jump:
            return was
        self.mid = mid
        return 0.0

    def _gap(self, record: Record, now: int, why: str = "") -> None:
        have = "no snapshot" if self.state == "syncing" else str(self.sequence)
        gap = f"gap: have {have}, got {record.sequence} of epoch {record.epoch}"
        self._become("broken", f"{gap}: {why}" if why else gap, now)

    def _become(self, state: State, reason: str, now: int) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason, self.since = state, reason, now

    # --- as a value of the table ---

    def encode(self) -> bytes:
        """As JSON; a big one zlib-compressed (its first byte isn't `{`)."""
        value = self.to_json()
        return zlib.compress(value, 1) if len(value) > _COMPRESS_BEYOND else value

    def to_json(self) -> bytes:
        """All of it, compact, the levels best first."""
        bids, asks = self.book.bids, self.book.asks
        fields = {name: getattr(self, name) for name in _Row.__struct_fields__[:-2]}
        row = _Row(
            **fields,
            bids={price: bids.sizes[price] for price in reversed(bids.prices)},
            asks={price: asks.sizes[price] for price in reversed(asks.prices)},
        )
        return msgspec.json.encode(row)

    def load(self, value: bytes) -> None:
        """Become what encode() or to_json() wrote.  Raises msgspec.DecodeError or zlib.error for other bytes."""
        row = _row_decoder.decode(value if value[:1] == b"{" else zlib.decompress(value))
        for name in _Row.__struct_fields__[:-2]:
            setattr(self, name, getattr(row, name))
        self.book.replace(row.bids.items(), row.asks.items())
        if self.max_jump and self.state in ("live", "stale") and all(self.book.depth):
            bid, ask, scale = self.book.touch()
            self.mid = (bid + ask) / (2 * 10**scale)
        else:
            self.mid = 0.0

    @classmethod
    def decode(cls, value: bytes) -> OrderBook:
        """The book that encode() wrote.  Raises msgspec.DecodeError or zlib.error for other bytes."""
        self = cls("", "")
        self.load(value)
        return self


class _Row(msgspec.Struct, kw_only=True):
    """The table's value; the fields but the last two are the OrderBook's own.  Rows of older versions lack those that
    have a default."""

    exchange: str
    symbol: str
    state: State
    reason: str
    since: int
    epoch: int
    sequence: int
    closed: bool
    exchange_sequence: int | None
    exchange_time: int | None
    receipt_time: int
    heard: int
    offset: int
    depth: int | None
    published: int
    pending: bool
    asked: int
    last_verified: int | None = None
    bids: dict[str, str]
    asks: dict[str, str]


_row_decoder = msgspec.json.Decoder(_Row)
