"""`Source`: one exchange's market data over one connection; `Sink`: where it puts what it receives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from tradeflow.messages import Level


class FeedError(Exception):
    """Why a connection had to end; the message goes into the `down` records and into `/feeds`."""


class GapError(FeedError):
    """The exchange's numbering or checksum shows that something is missing: only a new subscription helps."""


class Sink(Protocol):
    """What a source calls for each thing received: synchronous, never raises, never waits for Kafka.

    Prices and sizes are decimal strings as the exchange sent them, without exponents; a delta's sizes are
    absolute and a zero removes the level.  `receipt_time` is in nanoseconds; `exchange_time` as the exchange
    sent it: seconds as a number, or ISO 8601."""

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

    def alive(self, receipt_time: int) -> None:
        """The connection has just shown that it works: any frame, or the answer to a ping."""

    def unavailable(self, symbol: str, reason: str) -> None:
        """The exchange doesn't serve this symbol; the connection's other symbols go on."""


class Source(ABC):
    """Live and recorded sources differ only in where their frames come from."""

    exchange: str
    symbols: list[str]
    """Canonical."""

    @abstractmethod
    async def run(self, sink: Sink) -> None:
        """ONE connection: connect, subscribe and deliver until it ends; cancellable at any time.

        Returns when the exchange closed it, raises (FeedError, OSError, …) with the reason otherwise.  Never
        reconnects: what is delivered between two runs would have no epoch of its own."""
