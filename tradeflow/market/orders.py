"""The orders of one partition: what each is, and what has become of it.

    INITIALIZED ──▶ DENIED
         └─▶ SUBMITTED ──▶ REJECTED
                 └─▶ ACCEPTED ──▶ PARTIALLY_FILLED ──▶ FILLED
                         └─▶ PENDING_CANCEL ──▶ CANCELED     and EXPIRED, from each that a venue has

An order is known by its id, a report on it by (order id, number): a repetition changes nothing.  What leads where
no order can go is refused and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from tradeflow.messages import Cause, Command, Execution, Order, OrderStatus
from tradeflow.normalize import NormalizeError, canonical_decimal

REMEMBERED = 1_000
"""Closed orders kept, the newest: for late repetitions and for who asks.  Open ones are kept in any number."""

_ENDS: frozenset[OrderStatus] = frozenset(("FILLED", "CANCELED", "EXPIRED"))
_AT_VENUE: frozenset[OrderStatus] = _ENDS | {"PARTIALLY_FILLED", "PENDING_CANCEL"}

NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
    "INITIALIZED": frozenset(("DENIED", "SUBMITTED")),
    "SUBMITTED": _AT_VENUE | {"REJECTED", "ACCEPTED"},
    "ACCEPTED": _AT_VENUE,
    "PARTIALLY_FILLED": _AT_VENUE,
    # A venue that hasn't heard of the cancel yet goes on: accepts, fills, refuses.
    "PENDING_CANCEL": _ENDS | {"REJECTED", "ACCEPTED", "PARTIALLY_FILLED"},
    "DENIED": frozenset(),
    "REJECTED": frozenset(),
    "FILLED": frozenset(),
    "CANCELED": frozenset(),
    "EXPIRED": frozenset(),
}
"""From each status, where a report may lead."""

_UNDECIDED = -2
"""Number of the last report on an order that nothing is known of; the gate's verdict is -1."""


class TrackedOrder(msgspec.Struct, kw_only=True):
    """An order and its state; also the row of a checkpoint.  Changed by `Orders` alone."""

    order: Order
    """As it was sent: the NEW command."""
    run: str
    """Key of the run that sent it."""
    status: OrderStatus = "INITIALIZED"
    number: int = _UNDECIDED
    filled: str = "0"
    leaves: str
    average: str | None = None
    bound: str | None = None
    """Of a MARKET order the worst price that it may be filled at, set when it passed the gate."""
    cancel: bool = False
    """Its cancel has been sent, or is being sent."""
    offset: int = -1
    """Of its NEW command in topic `orders`; -1: it hasn't come to the gate."""
    opened: int = -1
    closed: int = -1
    """Places in the sequence of all openings and closings; -1: not yet."""

    @property
    def is_open(self) -> bool:
        return bool(NEXT[self.status])

    def cancel_order(self, cause: Cause, now: int) -> Order:
        """The command that asks for its end."""
        return msgspec.structs.replace(self.order, command="CANCEL", cause=cause, event_time=now)


class Orders:
    """All open orders of a partition and the last closed ones, each in a numbered row of the checkpoint.

    Rows are used again, the one of the order that closed first at first, so there are never more of them than there
    were open orders at once and REMEMBERED."""

    def __init__(self) -> None:
        self._known: dict[str, TrackedOrder] = {}
        self._open: dict[tuple[str, str], dict[str, TrackedOrder]] = {}
        self._closed: deque[str] = deque()
        self._rows: dict[str, int] = {}
        self._dirty: dict[str, TrackedOrder] = {}
        self._places = 0
        self._forgotten = -1
        """Highest offset in topic `orders` of a NEW command whose order isn't remembered any more."""
        self._forgotten_dirty = False
        self._sized = False
        """The number of rows has grown since it was taken."""
        self.repeated = 0
        self.refused = 0
        """Reports that lead where no order can go, or can't be about their order."""
        self.unknown = 0
        """Commands and reports on orders that aren't known (any more)."""

    def __iter__(self) -> Iterator[TrackedOrder]:
        """The open ones of all books, oldest first."""
        found = [one for orders in self._open.values() for one in orders.values()]
        return iter(sorted(found, key=lambda one: one.opened))

    def get(self, order_id: str) -> TrackedOrder | None:
        return self._known.get(order_id)

    def open_on(self, exchange: str, symbol: str) -> Iterable[TrackedOrder]:
        """The open orders of one book, oldest first."""
        return self._open.get((exchange, symbol), {}).values()

    def add(self, one: TrackedOrder) -> bool:
        """An order that has just been sent.  False for an id that is there already."""
        order_id = one.order.order_id
        if order_id in self._known:
            self.repeated += 1
            return False
        if len(self._closed) >= REMEMBERED:
            forgotten = self._closed.popleft()
            self._forget(self._known.pop(forgotten).offset)
            self._dirty.pop(forgotten, None)
            row = self._rows.pop(forgotten)
        else:
            row, self._sized = len(self._rows), True
        self._known[order_id], self._rows[order_id] = one, row
        one.opened = self._place()
        self._open.setdefault((one.order.exchange, one.order.symbol), {})[order_id] = one
        self._dirty[order_id] = one
        return True

    def is_first_of_agent(self, event: Command) -> bool:
        """A plain agent's order that was never here.  Commands come in the order of their offsets, and after a crash
        from an earlier one again: so what isn't remembered and comes after all that is forgotten is new."""
        order = event.order
        by_agent = order.command == "NEW" and order.cause.kind == "agent"
        return by_agent and order.order_id not in self._known and event.offset > self._forgotten

    def command(self, event: Command) -> TrackedOrder | None:
        """The order that a command from the log is about, if it changes anything: a NEW that waits for its
        verdict, or a CANCEL, which makes it PENDING_CANCEL."""
        order = event.order
        one = self._known.get(order.order_id)
        if one is None:
            self.unknown += 1
        elif order.command == "NEW" and one.status == "INITIALIZED":
            one.offset = event.offset
            return one
        elif order.command == "CANCEL" and "PENDING_CANCEL" in NEXT[one.status]:
            one.status, one.cancel = "PENDING_CANCEL", True
            self._dirty[order.order_id] = one
            return one
        else:
            self.repeated += 1
        return None

    def apply(self, execution: Execution) -> TrackedOrder | None:
        """A verdict or a venue's report.  The order that it changed, None if it changed nothing."""
        order_id, status = execution.order_id, execution.status
        one = self._known.get(order_id)
        if one is None:
            self.unknown += 1
            return None
        if execution.number <= one.number:
            self.repeated += 1
            return None
        if status not in NEXT[one.status] or not _is_about(execution, one.order):
            self.refused += 1
            return None
        one.number, one.filled, one.leaves = execution.number, execution.filled_size, execution.leaves_size
        one.average = execution.average_price
        if one.status != "PENDING_CANCEL" or status not in ("ACCEPTED", "PARTIALLY_FILLED"):
            one.status = status
        self._dirty[order_id] = one
        if not one.is_open:
            one.closed = self._place()
            self._closed.append(order_id)
            del self._open[one.order.exchange, one.order.symbol][order_id]
        return one

    def ask_cancel(self, one: TrackedOrder, cause: Cause, now: int) -> Order | None:
        """Its CANCEL command, if none was sent before."""
        if one.cancel or not one.is_open:
            return None
        self.cancel_sent(one)
        return one.cancel_order(cause, now)

    def cancel_sent(self, one: TrackedOrder) -> None:
        one.cancel = True
        self._dirty[one.order.order_id] = one

    def _place(self) -> int:
        self._places += 1
        return self._places

    def _forget(self, offset: int) -> None:
        if offset > self._forgotten:
            self._forgotten, self._forgotten_dirty = offset, True

    # --- checkpoint ---

    def take_dirty(self) -> dict[str, bytes]:
        """key → value of the rows that changed since the last call."""
        found = {f"order/{self._rows[key]}": msgspec.json.encode(one) for key, one in self._dirty.items()}
        if self._sized:
            found["orders"] = msgspec.json.encode(len(self._rows))
        if self._forgotten_dirty:
            found["forgotten"] = msgspec.json.encode(self._forgotten)
        self._dirty, self._sized, self._forgotten_dirty = {}, False, False
        return found

    def restore(self, read: Callable[[str], bytes | None]) -> None:
        """Continue from what take_dirty() gave."""
        size, forgotten = read("orders"), read("forgotten")
        if forgotten is not None:
            self._forgotten = msgspec.json.decode(forgotten, type=int)
        rows: list[tuple[int, TrackedOrder]] = []
        for number in range(msgspec.json.decode(size, type=int) if size else 0):
            value = read(f"order/{number}")
            if value is not None:
                rows.append((number, msgspec.json.decode(value, type=TrackedOrder)))
        for number, one in sorted(rows, key=lambda row: row[1].opened):
            order_id = one.order.order_id
            self._known[order_id], self._rows[order_id] = one, number
            if one.is_open:
                self._open.setdefault((one.order.exchange, one.order.symbol), {})[order_id] = one
        closed = [one for _, one in rows if not one.is_open]
        self._closed = deque(one.order.order_id for one in sorted(closed, key=lambda one: one.closed))
        self._places = max((max(one.opened, one.closed) for _, one in rows), default=0)


def _is_about(execution: Execution, order: Order) -> bool:
    """It names the order's book and side, and its numbers are numbers: what else writes into the log may be wrong."""
    if (execution.exchange, execution.symbol, execution.side) != (order.exchange, order.symbol, order.side):
        return False
    if (execution.last_price is None) != (execution.last_size is None):
        return False
    fee = execution.fee.removeprefix("-") if execution.fee is not None else None
    sizes = (execution.filled_size, execution.leaves_size, execution.last_size)
    for number in (*sizes, execution.last_price, execution.average_price, fee):
        try:
            if number is not None and canonical_decimal(number) != number:
                return False
        except NormalizeError:
            return False
    return execution.last_size != "0"
