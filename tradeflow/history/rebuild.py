"""`Rebuild`: books as they were at an earlier place of the log, by the Market that made them; pure.

From a keyframe of each book on, the log is applied again up to the place that is asked for.  So a book has the
state, reason and levels that it had then, whatever has become of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

import msgspec

from tables.order_books import OrderBook
from tradeflow.market import Market
from tradeflow.market.market import ALWAYS, time_of
from tradeflow.messages import (
    BookRecord,
    Cause,
    Clock,
    Command,
    Delta,
    Execution,
    Instrument,
    Keyframe,
    MarketEvent,
    Snapshot,
    Steer,
    Trade,
)

SILENCE = "silence"
"""The timer that causes cancels for books that have gone silent."""

Place = tuple[str, str]
"""(exchange, symbol)"""


class NeverThere(LookupError):
    """The log shows that there never was such a moment; the message says what there is instead."""


class Target(Protocol):
    """A place of the log, as seen from its events."""

    def is_after(self, frame: Keyframe) -> bool:
        """Whether the place is surely after that of a keyframe."""
        ...

    def stops_before(self, event: MarketEvent, now: int) -> bool:
        """This event, which would make event time `now` or leave it later, is the first one after the place."""
        ...

    def stops_after(self, event: MarketEvent, now: int) -> bool:
        """This event, which made event time `now`, is the last one before the place."""
        ...


class AtTime(msgspec.Struct, frozen=True):
    """After all events up to an event time, ns."""

    time: int

    def is_after(self, frame: Keyframe) -> bool:
        return frame.event_time <= self.time

    def stops_before(self, event: MarketEvent, now: int) -> bool:
        return now > self.time

    def stops_after(self, event: MarketEvent, now: int) -> bool:
        return False


class AtRecord(msgspec.Struct, frozen=True):
    """Just after one record of a book.  Raises NeverThere when the log goes on to a later one of that book.

    A record that the log has several times, and a book that was broken when it came first, never was as of it: what is
    rebuilt is the book after one of them."""

    exchange: str
    symbol: str
    epoch: int
    sequence: int

    def is_after(self, frame: Keyframe) -> bool:
        return (frame.epoch, frame.sequence) < (self.epoch, self.sequence)

    def stops_before(self, event: MarketEvent, now: int) -> bool:
        number = self._number(event)
        if number is not None and number > (self.epoch, self.sequence):
            raise NeverThere(
                f"{self.exchange} {self.symbol} never was as of record {self.sequence} of epoch {self.epoch}: "
                f"in the log {number[1]} of epoch {number[0]} comes next"
            )
        return False

    def stops_after(self, event: MarketEvent, now: int) -> bool:
        return self._number(event) == (self.epoch, self.sequence)

    def _number(self, event: MarketEvent) -> tuple[int, int] | None:
        """(epoch, sequence) of a record with levels of this book."""
        if isinstance(event, Delta | Snapshot) and (event.exchange, event.symbol) == (
            self.exchange,
            self.symbol,
        ):
            return event.epoch, event.sequence
        return None


class AtCause(msgspec.Struct, frozen=True):
    """As a strategy saw it: after the event that made it act at `event_time`; a timer's just before its event.  As a
    plain agent may have: after all events up to the `event_time` of the order."""

    cause: Cause
    event_time: int

    def is_after(self, frame: Keyframe) -> bool:
        return frame.event_time < self.event_time

    def stops_before(self, event: MarketEvent, now: int) -> bool:
        cause = self.cause
        if cause.kind == "agent":
            return now > self.event_time
        return cause.kind == "timer" and cause.timer != SILENCE and now >= self.event_time

    def stops_after(self, event: MarketEvent, now: int) -> bool:
        cause, some = self.cause, cast(Any, event)
        match cause.kind:
            case "book" | "trade":
                return (
                    now == self.event_time
                    and isinstance(event, BookRecord)
                    and type(event) is not Instrument
                    and isinstance(event, Trade) == (cause.kind == "trade")
                    and (event.exchange, event.symbol) == (cause.exchange, cause.symbol)
                    and (event.epoch, event.sequence) == (cause.epoch, cause.sequence)
                )
            case "execution":
                # The gate's verdict is told at the place of the command that it is about.
                return (type(event) is Execution and some.execution_id == cause.execution) or (
                    type(event) is Command and f"{some.order.order_id}-gate" == cause.execution
                )
            case "agent":
                return False
            case "control":
                return type(event) is Steer and some.offset == cause.sequence
            case "timer":
                return cause.timer == SILENCE and type(event) is Clock and now >= self.event_time


class Rebuild:
    """`frames`: the keyframe of each book to begin with; a book without one begins as it did when the log began.

    `options`: of Market, as of when it was live (`silence_ns`, `max_jump`)."""

    def __init__(
        self, partition: int, books: Iterable[Place], frames: Iterable[Keyframe], options: Mapping[str, Any]
    ) -> None:
        self._frames = {(frame.exchange, frame.symbol): frame for frame in frames}
        books = list(books)
        self._market = Market(partition, books, **options)
        whole = len(self._frames) == len(books)
        self.first = min((frame.offset + 1 for frame in self._frames.values()), default=0) if whole else 0
        """Offset of the log to read from."""
        event_time = min((frame.event_time for frame in self._frames.values()), default=0) if whole else 0
        state = {
            ("order_books", f"{exchange}/{symbol}"): bytes(frame.book)
            for (exchange, symbol), frame in self._frames.items()
        } | {("strategy_states", "market"): msgspec.json.encode((event_time, 0))}
        self._market.restore(lambda table, key: state.get((table, key)))

    @property
    def event_time(self) -> int:
        return self._market.event_time

    def book(self, exchange: str, symbol: str) -> OrderBook:
        return self._market.books[exchange, symbol]

    def apply(self, event: MarketEvent, offset: int, appended: int = ALWAYS) -> None:
        """The next event, and the broker's time of it (ns); what a book's keyframe holds already is passed over."""
        frame = self._frames.get((event.exchange, event.symbol)) if isinstance(event, BookRecord) else None
        market = self._market
        if frame is not None and offset <= frame.offset:
            market.event_time = max(market.event_time, time_of(event, appended))
            return
        market.apply(event, offset, appended)
        market.take_outputs()
        market.take_resyncs()
