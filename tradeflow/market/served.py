"""A book that a market serves: the book, its instrument and trades, and what is published of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tables.order_books import OrderBook
from tradeflow.market.changes import BookChange
from tradeflow.market.counts import Counts
from tradeflow.market.trades import TradeTape
from tradeflow.messages import Instrument, Level, NormalizedBook, TopOfBook
from tradeflow.strategies.views import BookView, InstrumentView

PUBLISHED_LEVELS = 20

_encode = msgspec.json.Encoder().encode


class Output(NamedTuple):
    """A record for the market's own partition of a topic."""

    topic: str
    key: bytes
    value: bytes


class ServedBook:
    """`depth`: levels of `normalized-books`; `interval`: least event time (ns) between two of them."""

    __slots__ = (
        "_ask",
        "_bid",
        "_depth",
        "_interval",
        "_middle",
        "book",
        "counts",
        "dirty",
        "instrument",
        "instrument_dirty",
        "key",
        "tape",
        "tape_dirty",
        "traded",
        "view",
    )

    def __init__(
        self, exchange: str, symbol: str, depth: int, interval: int, silence_ns: int, max_jump: float
    ) -> None:
        self.key = symbol.encode()
        self.book = OrderBook(exchange, symbol, silence_ns, max_jump)
        self.view = BookView(self.book)
        self.tape = TradeTape()
        self.instrument: Instrument | None = None
        self.dirty = self.instrument_dirty = self.tape_dirty = False
        self.traded = False
        """An order has come for it: the venue has to see it."""
        self.counts = Counts()
        self._depth = depth
        self._interval = interval
        self._bid: Level | None = None
        self._ask: Level | None = None
        self._middle: tuple[str, str, str] | None = None

    @property
    def place(self) -> str:
        """Its key in the tables."""
        return f"{self.book.exchange}/{self.book.symbol}"

    def take_dirty(self) -> dict[tuple[str, str], bytes]:
        """(table, key) → value of all that changed since the last call."""
        found = {}
        if self.dirty:
            found["order_books", self.place] = self.book.encode()
        if self.tape_dirty:
            found["strategy_states", f"trades/{self.place}"] = self.tape.encode()
        if self.instrument and self.instrument_dirty:
            found["strategy_states", f"instruments/{self.place}"] = _encode(self.instrument)
        self.dirty = self.tape_dirty = self.instrument_dirty = False
        return found

    def restore(self, read: Callable[[str, str], bytes | None]) -> None:
        """Continue from what take_dirty() gave: the top that was last published is that of the book."""
        if (value := read("order_books", self.place)) is not None:
            self.book.load(value)
            self._bid, self._ask = self.book.book.best_bid, self.book.book.best_ask
            self._middle = _middle(self.book)
        if (value := read("strategy_states", f"trades/{self.place}")) is not None:
            self.tape = TradeTape.decode(value)
        if (value := read("strategy_states", f"instruments/{self.place}")) is not None:
            self.note_instrument(msgspec.json.decode(value, type=Instrument))
            self.instrument_dirty = False

    def note_instrument(self, instrument: Instrument) -> bool:
        """What its exchange says of it; False if it has said something newer."""
        known = self.instrument
        if known and (instrument.epoch, instrument.sequence) <= (known.epoch, known.sequence):
            self.counts.duplicates += 1
            return False
        self.instrument, self.instrument_dirty = instrument, True
        self.view.instrument = InstrumentView.of(instrument.listing)
        return True

    def publish(self, now: int, state_changed: bool, outputs: list[Output]) -> None:
        """After an event that touched the book: its top if that is another, its levels if they are due."""
        order_book = self.book
        book = order_book.book
        bid, ask = book.bids.best, book.asks.best
        # Most updates leave the very same levels at the top.
        if state_changed or (
            (bid is not self._bid or ask is not self._ask) and (bid != self._bid or ask != self._ask)
        ):
            was_bid, was_ask = self._bid, self._ask
            if not (bid and ask and was_bid and was_ask and bid[0] == was_bid[0] and ask[0] == was_ask[0]):
                self._middle = _middle(order_book)
            self._bid, self._ask = bid, ask
            outputs.append(self.top(now))
        order_book.pending = True
        if state_changed or now - order_book.published >= self._interval:
            self.publish_levels(now, state_changed, outputs)

    def publish_levels(self, now: int, at_once: bool, outputs: list[Output]) -> None:
        """The levels, if they have changed since the last record and that is long enough ago."""
        order_book = self.book
        if order_book.pending and (at_once or now - order_book.published >= self._interval):
            order_book.published, order_book.pending = now, False
            self.dirty = True
            outputs.append(self._levels(now))

    def top(self, now: int) -> Output:
        """Its record in `top-of-book`."""
        book = self.book
        bid, ask = self._bid, self._ask
        mid, spread, percent = self._middle or (None, None, None)
        record = TopOfBook(
            exchange=book.exchange,
            symbol=book.symbol,
            state=book.state,
            reason=book.reason,
            epoch=book.epoch,
            sequence=book.sequence,
            exchange_sequence=book.exchange_sequence,
            exchange_time=book.exchange_time,
            event_time=now,
            last_verified=book.last_verified,
            bid=bid,
            ask=ask,
            mid=mid,
            spread=spread,
            spread_pct=percent,
        )
        return Output("top-of-book", self.key, _encode(record))

    def _levels(self, now: int) -> Output:
        book = self.book
        bids, asks = book.book.top(self._depth)
        record = NormalizedBook(
            exchange=book.exchange,
            symbol=book.symbol,
            state=book.state,
            reason=book.reason,
            epoch=book.epoch,
            sequence=book.sequence,
            exchange_sequence=book.exchange_sequence,
            exchange_time=book.exchange_time,
            event_time=now,
            last_verified=book.last_verified,
            bids=bids,
            asks=asks,
        )
        return Output("normalized-books", self.key, _encode(record))

    def change(self, now: int) -> BookChange:
        book = self.book
        bids, asks = book.book.top(PUBLISHED_LEVELS)
        return BookChange(
            exchange=book.exchange,
            symbol=book.symbol,
            state=book.state,
            bid=bids[0] if bids else None,
            ask=asks[0] if asks else None,
            bids=bids,
            asks=asks,
            epoch=book.epoch,
            sequence=book.sequence,
            event_time=now,
        )


def _middle(book: OrderBook) -> tuple[str, str, str] | None:
    """Mid, spread and percentage; none where bid and ask contradict each other, which a live book's don't."""
    return book.book.mid_and_spread() if book.live or not book.book.crossed else None
