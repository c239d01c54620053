"""One strategy on one symbol (or on the group of symbols that it names): its state, its halt, its orders."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tables.instruments import Instrument
from tables.positions import Position
from tradeflow.market.accounts import Place, book_fill, open_position
from tradeflow.market.budget import Budget
from tradeflow.market.orders import Orders, TrackedOrder
from tradeflow.messages import BookRecord, Cause, Execution, Order, Trade
from tradeflow.normalize import canonical_decimal
from tradeflow.strategies.actions import Cancel, NewOrder
from tradeflow.strategies.parameters import from_text, with_parameters
from tradeflow.strategies.strategy import Strategy, StrategyError
from tradeflow.strategies.views import BookView, Context

log = logging.getLogger(__name__)

Origin = BookRecord | Cause
"""What makes a strategy act: the event, or a cause that is made already."""


class Run:
    """Calls the handlers, turns their actions into orders, and halts itself when one raises or is too slow.

    Without a `budget` nothing is timed, and all that it does is a function of the log."""

    def __init__(
        self,
        strategy: Strategy,
        symbols: tuple[str, ...],
        books: Mapping[str, Mapping[str, BookView]],
        registry: Orders,
        budget: Budget | None = None,
    ) -> None:
        self.strategy = strategy
        self.symbols = symbols
        self.own: dict[str, TrackedOrder] = {}
        """Its open orders by id, oldest first; a shadow has none."""
        self.positions: dict[Place, Position] = {}
        """What its own fills have left, by book."""
        self.context = Context(symbols[0], books, type(strategy).State(), self.own, self.positions)
        self.halted = ""
        """Why it is halted; empty while it runs."""
        self.error: Exception | None = None
        self.orders = 0
        """That it has sent since it began."""
        self.dirty = False
        self.key = f"strategy/{strategy.name}-{strategy.params_hash}/{'+'.join(symbols)}"
        """Of its state in the table; its parameters may have been changed since."""
        self._registry = registry
        self._budget = budget
        self._name = strategy.name
        self._params_hash = strategy.params_hash
        self._code = strategy.code_hash
        self._parameters: dict[str, str] = {}
        """Those that were changed while it ran, as they were written."""
        self._unreadable: bytes | None = None

    def handle(
        self, handler: Callable[..., Any], symbol: str, now: int, origin: Origin, *seen: Any
    ) -> list[Order]:
        """The orders that `handler`, shown `seen`, answers with: all of them, or none if it raises; then the run is
        halted, and what it had open is canceled."""
        if self.halted:
            return []
        self.dirty = True
        context = self.context
        context.symbol, context.now = symbol, now
        budget = self._budget
        began = budget.clock() if budget is not None else 0.0
        orders: list[Order] = []
        try:
            for index, action in enumerate(handler(*seen, context) or ()):
                order = self._order(action, index, origin, now)
                if order is not None:
                    orders.append(order)
        except Exception as error:
            self._take_back(orders)
            self.halt(f"{handler.__name__} raised {_described(error)}", error)
            return self._cancel_all(origin, now)
        if orders:
            self._keep(orders)
        if budget is not None and (reason := budget.spend(budget.clock() - began)):
            self.halt(f"{handler.__name__} is {reason}")
            orders += self._cancel_all(origin, now)
        return orders

    def halt(self, reason: str, error: Exception | None = None) -> None:
        log.error("strategy %s is halted for %s: %s", self._name, "+".join(self.symbols), reason)
        self.halted, self.error, self.dirty = reason, error, True

    def set_parameters(self, values: Mapping[str, str]) -> None:
        """It goes on, with its state, under other parameters.  Values that can't be are refused, and logged."""
        try:
            self.strategy = with_parameters(self.strategy, from_text(self.strategy, values))
        except Exception as error:  # also of the class's own checks
            log.error("parameters of strategy %s stay as they are: %s", self._name, error)
            return
        self._params_hash = self.strategy.params_hash
        self._parameters |= values
        self.dirty = True

    def resume(self) -> None:
        """An operator lets it try again."""
        if self.halted and self._unreadable is None:
            self.halted, self.error, self.dirty = "", None, True

    def track(self, one: TrackedOrder) -> None:
        """An open order is its own."""
        self.own[one.order.order_id] = one

    def take(self, one: TrackedOrder) -> None:
        """An order that came by topic `orders`, and that the registry has: a plain agent's."""
        self.track(one)
        self.orders += 1
        self.dirty = True

    def fill(self, execution: Execution, instrument: Instrument) -> None:
        """One of its orders was filled; without balances: those are the book's."""
        place = execution.exchange, execution.symbol
        position = self.positions.get(place)
        if position is None:
            position = self.positions[place] = open_position(instrument, {})
        book_fill(position, execution)
        self.dirty = True

    def forget(self, order_id: str) -> None:
        """It has ended."""
        self.own.pop(order_id, None)

    def _order(self, action: object, index: int, origin: Origin, now: int) -> Order | None:
        """The command of an action; None for a cancel that there is nothing to do for."""
        if isinstance(action, NewOrder):
            order = self._new(action, index, cause_of(origin), now)
            if not order.shadow:
                self.track(TrackedOrder(order=order, run=self.key, leaves=order.size))
            return order
        if isinstance(action, Cancel):
            one = self.own.get(action.order_id)
            return None if one is None else self._cancel(one, origin, now)
        raise StrategyError(f"{action!r} is not an action: yield buy(…), sell(…) or cancel(…)")

    def _new(self, action: NewOrder, index: int, cause: Cause, now: int) -> Order:
        return Order(
            order_id=self._order_id(cause, index),
            strategy=self._name,
            params_hash=self._params_hash,
            exchange=action.exchange,
            symbol=action.symbol,
            side=action.side,
            type=action.type,
            tif=action.tif,
            post_only=action.post_only,
            price=None if action.price is None else _text(action.price),
            size=_text(action.size),
            tag=action.tag,
            event_time=now,
            cause=cause,
            shadow=self.strategy.shadow,
        )

    def _cancel(self, one: TrackedOrder, origin: Origin, now: int) -> Order | None:
        if one.cancel:
            return None
        one.cancel = True
        return one.cancel_order(cause_of(origin), now)

    def _cancel_all(self, origin: Origin, now: int) -> list[Order]:
        asked = [self._registry.ask_cancel(one, cause_of(origin), now) for one in self.own.values()]
        return [order for order in asked if order is not None]

    def _keep(self, orders: list[Order]) -> None:
        """The handler has ended well: what it yielded is part of the checkpoint."""
        for order in orders:
            new = order.command == "NEW"
            self.orders += new
            if not order.shadow:
                one = self.own[order.order_id]
                self._registry.add(one) if new else self._registry.cancel_sent(one)

    def _take_back(self, orders: list[Order]) -> None:
        """The handler raised: what it had yielded was never said."""
        for order in reversed(orders):
            if order.command == "NEW":
                self.forget(order.order_id)
            else:
                self.own[order.order_id].cancel = False

    def _order_id(self, cause: Cause, index: int) -> str:
        """32 hex digits, which every exchange takes as a client's order id."""
        origin: tuple[object, ...]
        if cause.kind == "timer":
            origin = (cause.kind, cause.timer, cause.time)
        elif cause.kind == "execution":
            origin = (cause.kind, cause.execution)
        else:
            origin = (cause.kind, cause.exchange, cause.epoch, cause.sequence)
        parts = (self._name, self._params_hash, self.context.symbol, *origin, index)
        return hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=16).hexdigest()

    # --- checkpoint ---

    def encode(self) -> bytes:
        """Its state and its halt.  A State that can't be written halts the run."""
        if self._unreadable is not None:
            return self._unreadable
        try:
            state = msgspec.json.encode(self.context.state)
        except (TypeError, ValueError) as error:
            self.halt(f"State can't be written as JSON: {error}", error)
            state = b"null"
        row = _Row(
            state=msgspec.Raw(state),
            halted=self.halted,
            code=self._code,
            parameters=self._parameters,
            orders=self.orders,
            positions=[(*place, position) for place, position in sorted(self.positions.items())],
        )
        return msgspec.json.encode(row)

    def restore(self, value: bytes) -> None:
        """A state that no longer fits the class halts the run, and is kept for when the code is mended."""
        row = msgspec.json.decode(value, type=_Row)
        self.orders = row.orders
        for exchange, symbol, position in row.positions:
            self.positions[exchange, symbol] = position
        try:
            self.context.state = msgspec.json.decode(row.state, type=type(self.strategy).State)
        except msgspec.ValidationError as error:
            self._unreadable = value
            self.halted = (
                f"the checkpointed State doesn't fit {type(self.strategy).__name__}.State: {error}; "
                "give its new fields defaults, or rename the class to start afresh"
            )
            return
        if row.halted and row.code == self._code:
            self.halted = row.halted
        if row.parameters:
            self.set_parameters(row.parameters)


class _Row(msgspec.Struct):
    state: msgspec.Raw
    halted: str
    code: str
    parameters: dict[str, str] = {}
    orders: int = 0
    positions: list[tuple[str, str, Position]] = []


def cause_of(origin: Origin) -> Cause:
    """Of an order; built when there is one, for most events cause none."""
    if isinstance(origin, Cause):
        return origin
    return Cause(
        kind="trade" if isinstance(origin, Trade) else "book",
        exchange=origin.exchange,
        symbol=origin.symbol,
        epoch=origin.epoch,
        sequence=origin.sequence,
    )


def _text(number: Decimal) -> str:
    return canonical_decimal(format(number, "f"))


def _described(error: Exception) -> str:
    """Kind, text and the line of the strategy that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
