"""`ExecutionVenue`: what executes orders inside a market, as a function of the log.

A venue that lives elsewhere needs none of this: an agent that follows the SUBMITTED verdicts in topic `executions` and
writes `execution` events into `market-events` is one."""

from __future__ import annotations

from typing import Protocol

from tables.order_books import OrderBook
from tradeflow.messages import BookRecord, Execution, Order, Trade

NEVER = 2**63 - 1
"""Nanoseconds; later than any event."""


class ExecutionVenue(Protocol):
    """Called by a market at each event, in the order of the log; `now` is event time and never goes back.

    For each event: `advance(now)` before it is applied (may be left out while `now < due`), `book` or `trade` after it
    was, then `take()`.  Repetitions and unapproved orders never come here: the market has dropped them."""

    dirty: bool
    """Its state has changed since this was last set to False: by whoever encodes it."""

    @property
    def due(self) -> int:
        """Earliest event time at which advance() has something to do; NEVER if there is none."""
        ...

    def submit(self, order: Order, now: int) -> None:
        """An order with command NEW that the gate has approved, once."""
        ...

    def cancel(self, order_id: str, now: int) -> None:
        """Ask for the end of an order; of one that is no longer open nothing comes."""
        ...

    def advance(self, now: int) -> None:
        """Time moves: what is due happens, on the books as they are, before the event of `now` is applied to them."""
        ...

    def book(self, event: BookRecord, book: OrderBook, now: int) -> None:
        """`book` is as of this record, or has left `live` by it."""
        ...

    def trade(self, event: Trade, now: int) -> None:
        """A trade that is new (not seen before)."""
        ...

    def take(self) -> list[Execution]:
        """Reports whose time has come since the last call, in order."""
        ...

    def encode(self) -> bytes:
        """All of its state, between two events."""
        ...

    def restore(self, value: bytes) -> None:
        """Continue from what encode() gave, on books that are as they were then."""
        ...
