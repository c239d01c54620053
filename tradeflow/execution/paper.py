"""`PaperExchange`: executes orders on the books as they are, without randomness; docs/paper-exchange.md is its model.

This module is the way there and back, and the checkpoint; what happens in a book is in matching.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.execution.admission import assumed_instrument, refusal
from tradeflow.execution.fees import Fees
from tradeflow.execution.matching import Desk, DeskRow
from tradeflow.execution.venue import NEVER
from tradeflow.execution.working import Working, execution
from tradeflow.messages import BookRecord, Execution, Order, Trade

LATENCY = 50_000_000

Place = tuple[str, str]
"""(exchange, symbol)."""


class _Row(msgspec.Struct):
    arrivals: list[tuple[int, Order | str]]
    reports: list[Execution]
    desks: list[DeskRow]


class PaperExchange:
    """An ExecutionVenue for all exchanges of a market.

    `books`: the market's own, kept up to date by it.  `latency_ns`: event time from here to the exchange, and back.
    `instruments`: may be filled later; without one there are no tick, lot and notional, and a symbol of two currencies
    is spot."""

    def __init__(
        self,
        books: Mapping[Place, OrderBook],
        *,
        fees: Fees,
        instruments: Mapping[Place, Instrument],
        latency_ns: int = LATENCY,
    ) -> None:
        self._books = books
        self._fees = fees
        self._instruments = instruments
        self._latency = latency_ns
        self._desks: dict[Place, Desk] = {}
        """Those with orders, or with levels that they have taken from."""
        self._arrivals: deque[tuple[int, Order | str]] = deque()
        """(due, new order | id of the one to cancel)."""
        self._reports: deque[Execution] = deque()
        """Each is due at its receipt_time."""
        self._ready: list[Execution] = []
        self.dirty = False

    @property
    def due(self) -> int:
        arrival = self._arrivals[0][0] if self._arrivals else NEVER
        return min(arrival, self._reports[0].receipt_time) if self._reports else arrival

    def submit(self, order: Order, now: int) -> None:
        self._arrivals.append((now + self._latency, order))
        self.dirty = True

    def cancel(self, order_id: str, now: int) -> None:
        self._arrivals.append((now + self._latency, order_id))
        self.dirty = True

    def advance(self, now: int) -> None:
        while self._arrivals and self._arrivals[0][0] <= now:
            due, what = self._arrivals.popleft()
            if isinstance(what, str):
                self._cancel(what, due)
            else:
                self._arrive(what, due)
            self.dirty = True
        while self._reports and self._reports[0].receipt_time <= now:
            self._ready.append(self._reports.popleft())
            self.dirty = True

    def book(self, event: BookRecord, book: OrderBook, now: int) -> None:
        desk = self._desks.get((event.exchange, event.symbol))
        if desk is not None and book.state == "live":
            desk.on_book(now)
            self._note(desk)

    def trade(self, event: Trade, now: int) -> None:
        desk = self._desks.get((event.exchange, event.symbol))
        if desk is not None and desk.book.state == "live":
            desk.on_trade(event, now)
            self._note(desk)

    def take(self) -> list[Execution]:
        ready, self._ready = self._ready, []
        return ready

    # --- arrivals ---

    def _arrive(self, order: Order, now: int) -> None:
        place = (order.exchange, order.symbol)
        book = self._books.get(place)
        instrument = self._instruments.get(place) or assumed_instrument(*place)
        fee = self._fees.at(*place, now)
        if book is None:
            self._reject(order, now, "NO_BOOK", f"no book of {order.symbol} on {order.exchange} is served")
        elif book.state != "live":
            self._reject(order, now, "BOOK_NOT_LIVE", f"the book is {book.state}: {book.reason}")
        elif instrument is None:
            self._reject(order, now, "NO_INSTRUMENT", f"{order.symbol}: its kind of contract isn't known yet")
        elif fee is None:
            self._reject(
                order, now, "NO_FEES", f"no fees are known of {order.exchange}: add them to fees.toml"
            )
        else:
            touch = (book.book.asks if order.side == "buy" else book.book.bids).best
            refused = refusal(order, instrument, Decimal(touch[0]) if touch else None)
            if refused:
                self._reject(order, now, *refused)
                return
            desk = self._desks.get(place) or Desk(book, self._report)
            self._desks[place] = desk
            desk.arrive(Working.new(order, instrument, fee), now)
            self._note(desk)

    def _cancel(self, order_id: str, now: int) -> None:
        for desk in self._desks.values():
            if desk.cancel(order_id, now):
                self._note(desk)
                return

    def _reject(self, order: Order, now: int, code: str, reason: str) -> None:
        self._report(execution(order, 0, now, "REJECTED", code, reason, leaves_size=order.size))

    def _report(self, said: Execution) -> None:
        """On its way to us: known here one latency after it happened."""
        self._reports.append(msgspec.structs.replace(said, receipt_time=said.receipt_time + self._latency))

    def _note(self, desk: Desk) -> None:
        self.dirty = True
        if desk.idle:
            self._desks.pop((desk.book.exchange, desk.book.symbol), None)

    # --- checkpoint ---

    def encode(self) -> bytes:
        desks = [DeskRow(*place, desk.orders, desk.taken) for place, desk in sorted(self._desks.items())]
        return msgspec.json.encode(_Row(list(self._arrivals), [*self._ready, *self._reports], desks))

    def restore(self, value: bytes) -> None:
        """Of a place whose book is no longer served, the orders are forgotten."""
        row = msgspec.json.decode(value, type=_Row)
        self._arrivals, self._reports, self._ready = deque(row.arrivals), deque(row.reports), []
        self._desks = {}
        for saved in row.desks:
            book = self._books.get((saved.exchange, saved.symbol))
            if book is not None:
                desk = self._desks[saved.exchange, saved.symbol] = Desk(book, self._report)
                desk.orders, desk.taken = saved.orders, saved.taken
        self.dirty = False
