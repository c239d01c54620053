"""`Trading`: what a partition's log does to orders: commands, verdicts, executions, operators' words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.execution.venue import NEVER, ExecutionVenue
from tradeflow.market.accounts import Accounts, Place
from tradeflow.market.orders import Orders, TrackedOrder
from tradeflow.market.run import Origin, cause_of
from tradeflow.market.runs import Runs
from tradeflow.messages import BookRecord, Cause, Command, Execution, Order, OrderStatus, Record, Steer, Trade
from tradeflow.messages.orders import AGENT_NAME
from tradeflow.risk.gate import RiskGate
from tradeflow.risk.situation import Situation

Put = Callable[[str, str, Record], None]
"""(topic, symbol, record): into the market's own partition of the topic."""


VenueFactory = Callable[[Mapping[Place, OrderBook], Mapping[Place, Instrument]], ExecutionVenue]
"""(books, instruments) → what executes orders on them; both are the market's own, kept up to date by it."""


class Trading:
    """`put` takes what is to be sent.  Without a gate every order of a strategy is SUBMITTED, and plain agents have
    none; without a venue nothing follows but the executions that are in the log."""

    def __init__(
        self,
        orders: Orders,
        runs: Runs,
        accounts: Accounts,
        put: Put,
        gate: RiskGate | None = None,
        venue: ExecutionVenue | None = None,
    ) -> None:
        self.orders = orders
        self.accounts = accounts
        self._runs = runs
        self._put = put
        self._gate = gate
        # That an order is decided on once is seen to by the registry.
        self._situation = Situation(accounts.by_place, known=())
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
        if self._gate is not None and self.orders.is_first_of_agent(event):
            self._take(event.order)
        one = self.orders.command(event)
        if one is None:
            return
        order = one.order  # as its strategy sent it, whatever the log says
        if event.order.command == "CANCEL":
            if self._venue is not None:
                self._venue.cancel(order.order_id, now)
                self._collect()
            return
        denial = None if self._gate is None else self._gate.check(order, self._situation, now)
        if denial is not None:
            self._verdict(one, now, "DENIED", denial.reason_code, denial.reason)
            return
        if self._gate is not None:
            order = self._gate.bounded(order, self._situation)
            one.bound = order.price if one.order.price is None else None
        self.accounts.approved(one)
        self._verdict(one, now, "SUBMITTED")
        if self._venue is not None:
            self._venue.submit(order, now)
            self._collect()

    def execution(self, event: Execution, now: int) -> None:
        """A venue's report, or the gate's verdict."""
        one = self.orders.apply(event)
        if one is None:
            return
        place = event.exchange, event.symbol
        if event.last_size is not None:
            self.accounts.fill(event)
            self._put("positions", event.symbol, self.accounts.record(place, now))
        if not one.is_open:
            self.accounts.closed(one)
        self._send(self._runs.on_execution(one, event, self.accounts.instruments.get(place), now))

    def steer(self, event: Steer, now: int) -> None:
        """An operator's word; the same again, or an older one, changes nothing."""
        if event.offset <= self.steered:
            return
        self.steered, self._steered_dirty = event.offset, True
        if self._gate is not None:
            self._gate.steer(event)
        if event.action == "halt":
            cause = Cause(kind="control", sequence=event.offset)
            concerned = [one for one in self.orders if concerns(event, one.order)]
            self._send(self._cancel(concerned, cause, now))
        elif event.action == "resume" and event.strategy:
            self._runs.resume(event.strategy, event.symbol)
        elif event.action == "parameters":
            self._runs.set_parameters(event.strategy, event.parameters)

    def _take(self, order: Order) -> None:
        """A plain agent's order: known from its command on, as a strategy's is from when it was yielded."""
        named = AGENT_NAME.fullmatch(order.strategy)  # without a name the gate denies it
        run = self._runs.of_agent(order.strategy, order.symbol) if named else None
        one = TrackedOrder(order=order, run=run.key if run else "", leaves=order.size)
        self.orders.add(one)
        if run:
            run.take(one)

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

    def halted(self, strategy: str, symbols: Iterable[str]) -> str:
        """What operators have said of a strategy on these symbols, in words; empty if nothing."""
        if self._gate is None:
            return ""
        words = [self._gate.halts.on(strategy, symbol) for symbol in symbols]
        return "; ".join(f"{scope}: {halt.action} (by {halt.origin})" for scope, halt in filter(None, words))

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

    def refresh(self, now: int) -> None:
        """Every position again, for readers that have just started."""
        for record in self.accounts.records(now):
            self._put("positions", record.symbol, record)

    def _verdict(
        self, one: TrackedOrder, now: int, status: OrderStatus, reason_code: str = "", reason: str = ""
    ) -> None:
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
            reason_code=reason_code,
            reason=reason,
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
        found = self.orders.take_dirty() | self._runs.take_dirty_agents()
        if self._steered_dirty:
            found["steered"] = msgspec.json.encode(self.steered)
            self._steered_dirty = False
        found |= self.accounts.take_dirty()
        if self._gate is not None and self._gate.dirty:
            found["gate"] = self._gate.encode()
            self._gate.dirty = False
        if self._venue is not None and self._venue.dirty:
            found["venue"] = self._venue.encode()
            self._venue.dirty = False
        return found

    def restore(self, read: Callable[[str], bytes | None]) -> None:
        """Continue from what take_dirty() gave; the books are there already."""
        self.orders.restore(read)
        self.accounts.restore(read, self.orders)
        self._runs.restore_agents(read)
        self._runs.track(self.orders)
        steered, gate, venue = read("steered"), read("gate"), read("venue")
        if steered is not None:
            self.steered = msgspec.json.decode(steered, type=int)
        if gate is not None and self._gate is not None:
            self._gate.restore(gate)
        if venue is not None and self._venue is not None:
            self._venue.restore(venue)
            self.due, self.used = self._venue.due, True


def concerns(event: Steer, order: Order) -> bool:
    """Whether an operator's word is about an order."""
    return event.strategy in ("", order.strategy) and event.symbol in ("", order.symbol)
