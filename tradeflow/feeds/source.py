"""`Source`: one exchange's market data over one connection; `Sink`: where it puts what it receives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from tradeflow.messages import Level, Listing

LONGEST_REASON = 500
"""Characters: an exchange's own words may be of any length."""


class FeedError(Exception):
    """Why a connection had to end; the message goes into the `down` records and into `/feeds`."""


class GapError(FeedError):
    """What is missing concerns the whole connection, or can't be had on it: only a new one helps."""


def describe(error: BaseException) -> str:
    """An exception in at most 500 characters; of a group, its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = f"{type(error).__name__}: {error}" if str(error) else repr(error)
    return text[:LONGEST_REASON]


class Sink(Protocol):
    """What a source calls for each thing received: synchronous, never raises, never waits for Kafka.

    Prices and sizes are decimal strings as the exchange sent them, without exponents; a delta's sizes are
    absolute and a zero removes the level.  `receipt_time` is in nanoseconds; `exchange_time` as the exchange
    sent it: seconds as a number, or ISO 8601; `checksum`: one that the source has found right."""

    def book(
        self,
        symbol: str,
        *,
        snapshot: bool,
        bids: list[Level],
        asks: list[Level],
        exchange_time: float | str | None,
        receipt_time: int,
        exchange_sequence: int | None = None,
        checksum: int | str | None = None,
        depth: int | None = None,
    ) -> None: ...

    def trade(
        self,
        symbol: str,
        *,
        side: str,
        price: str,
        size: str,
        trade_id: str | None,
        order_type: str | None,
        exchange_time: float | str | None,
        receipt_time: int,
    ) -> None: ...

    def instrument(self, symbol: str, listing: Listing, *, receipt_time: int) -> None:
        """What the exchange says of it: before its first snapshot, and again when it says something else."""

    def alive(self, receipt_time: int) -> None:
        """The connection has just delivered something: data of any symbol, or the exchange's own heartbeat.  The
        answer to a ping is none: whoever has stopped to send data may still give it."""

    def gap(self, symbol: str, reason: str) -> None:
        """The exchange's numbering or checksum shows that something of this book is missing, or `reason` makes
        it suspect: until its next snapshot nothing of it counts.  The supervisor calls `resync` for it."""

    def unavailable(self, symbol: str, reason: str) -> None:
        """The exchange doesn't serve this symbol; the connection's other symbols go on."""


class Source(ABC):
    """Live and recorded sources differ only in where their frames come from."""

    exchange: str
    symbols: list[str]
    """Canonical."""
    resync_patience = 5.0
    """Seconds after `resync` until its snapshot is overdue and the connection is restarted instead."""

    @abstractmethod
    async def run(self, sink: Sink) -> None:
        """ONE connection: connect, subscribe and deliver until it ends; cancellable at any time.

        Returns when the exchange closed it, raises (FeedError, OSError, …) with the reason otherwise.  Never
        reconnects: what is delivered between two runs would have no epoch of its own."""

    def resync(self, symbol: str) -> bool:
        """Begin to take one book anew on the running connection; its other books go on.  Never waits.

        What is delivered of it next is the new snapshot, and nothing of the old subscription comes after
        that.  False where the source can't: then the supervisor restarts the connection."""
        return False

    def doubt_instruments(self) -> None:  # noqa: B027
        """What the exchange said of them may have changed: ask it anew before the next snapshot, where it tells only
        who asks."""
