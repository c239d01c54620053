"""`Trading`: what a partition's log does to orders: commands, verdicts, executions, operators' words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tables.order_books import OrderBook
from tradeflow.execution.venue import NEVER, ExecutionVenue
from tradeflow.market.orders import Orders, TrackedOrder
from tradeflow.market.run import Origin, cause_of
from tradeflow.market.runs import Runs
from tradeflow.messages import BookRecord, Cause, Command, Execution, Order, Record, Steer, Trade

Put = Callable[[str, str, Record], None]
"""(topic, symbol, record): into the market's own partition of the topic."""


class Trading:
    """`put` takes what is to be sent.  Without a gate every order is SUBMITTED; without a venue nothing follows but
    the executions that are in the log."""

    def __init__(self, orders: Orders, runs: Runs, put: Put, venue: ExecutionVenue | None = None) -> None:
        self.orders = orders
        self._runs = runs
        self._put = put
        self._venue = venue
        self.due = NEVER if venue is None else venue.due
        """Event time from which the venue has something to do before an event."""
        self.used = False
        """The venue may know of orders."""
        self.steered = -1
        """Offset in `control` of the last word that was heard."""
        self._steered_dirty = False

    # --- events ---

    def command(self, event: Command, now: int) -> None:
        """An order has reached the gate."""
        order = event.order
        one = self.orders.command(order)
        if one is None:
            return
        if order.command == "CANCEL":
            if self._venue is not None:
                self._venue.cancel(order.order_id, now)
                self._collect()
            return
        self._verdict(one, "SUBMITTED", now)
        if self._venue is not None:
            self._venue.submit(order, now)
            self._collect()

    def execution(self, event: Execution, now: int) -> None:
        """A venue's report, or the gate's verdict."""
        one = self.orders.apply(event)
        if one is not None:
            self._send(self._runs.on_execution(one, event, now))

    def steer(self, event: Steer, now: int) -> None:
        """An operator's word; the same again, or an older one, changes nothing."""
        if event.offset <= self.steered:
            return
        self.steered, self._steered_dirty = event.offset, True
        if event.action == "halt":
            cause = Cause(kind="control", sequence=event.offset)
            concerned = [one for one in self.orders if concerns(event, one.order)]
            self._send(self._cancel(concerned, cause, now))
        elif event.action == "resume" and event.strategy:
            self._runs.resume(event.strategy, event.symbol)
        elif event.action == "parameters":
            self._runs.set_parameters(event.strategy, event.parameters)

    # --- what the market does ---

    def advance(self, now: int) -> None:
        """Before an event, once `due` has come."""
        if self._venue is not None:
            self._venue.advance(now)
            self._collect()

    def book(self, event: BookRecord, book: OrderBook, now: int) -> None:
        """A traded book is as of this record, or has left `live` by it."""
        if self._venue is not None:
            self._venue.book(event, book, now)
            self._collect()

    def trade(self, event: Trade, now: int) -> None:
        """A new trade on a traded book."""
        if self._venue is not None:
            self._venue.trade(event, now)
            self._collect()

    def book_lost(self, book: OrderBook, origin: Origin, now: int) -> list[Order]:
        """The commands that cancel a book's open orders, those aside whose strategies don't want that."""
        orders = self.orders.open_on(book.exchange, book.symbol)
        return self._cancel([one for one in orders if self._runs.cancels_on_loss(one.run)], origin, now)

    @property
    def counts(self) -> dict[str, int]:
        """What changed nothing, since this process took the partition."""
        orders = self.orders
        return {"repeated": orders.repeated, "refused": orders.refused, "unknown": orders.unknown}

    def _cancel(self, orders: list[TrackedOrder], origin: Origin, now: int) -> list[Order]:
        if not orders:
            return []
        cause = cause_of(origin)
        asked = [self.orders.ask_cancel(one, cause, now) for one in orders]
        return [order for order in asked if order is not None]

    def _send(self, orders: list[Order]) -> None:
        for order in orders:
            self._put("orders", order.symbol, order)

    def _verdict(self, one: TrackedOrder, status: Any, now: int) -> None:
        order = one.order
        verdict = Execution(
            exchange=order.exchange,
            symbol=order.symbol,
            execution_id=f"{order.order_id}-gate",
            order_id=order.order_id,
            number=-1,
            strategy=order.strategy,
            side=order.side,
            status=status,
            leaves_size=order.size if status == "SUBMITTED" else "0",
            receipt_time=now,
        )
        self._put("executions", order.symbol, verdict)
        self.execution(verdict, now)

    def _collect(self) -> None:
        """What the venue has to say goes where a real one's reports would: to everybody, and into the log."""
        assert self._venue is not None
        for execution in self._venue.take():
            self._put("executions", execution.symbol, execution)
            self._put("market-events", execution.symbol, execution)
        self.due = self._venue.due

    # --- checkpoint ---

    def take_dirty(self) -> dict[str, bytes]:
        """key → value of what changed since the last call."""
        found = self.orders.take_dirty()
        if self._steered_dirty:
            found["steered"] = msgspec.json.encode(self.steered)
            self._steered_dirty = False
        if self._venue is not None and self._venue.dirty:
            found["venue"] = self._venue.encode()
            self._venue.dirty = False
        return found

    def restore(self, read: Callable[[str], bytes | None]) -> None:
        """Continue from what take_dirty() gave; the books are there already."""
        self.orders.restore(read)
        self._runs.track(self.orders)
        steered, venue = read("steered"), read("venue")
        if steered is not None:
            self.steered = msgspec.json.decode(steered, type=int)
        if venue is not None and self._venue is not None:
            self._venue.restore(venue)
            self.due, self.used = self._venue.due, True


def concerns(event: Steer, order: Order) -> bool:
    """Whether an operator's word is about an order."""
    return event.strategy in ("", order.strategy) and event.symbol in ("", order.symbol)
