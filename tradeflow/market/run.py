"""One strategy on one symbol (or on the group of symbols that it names): its state, its halt, its orders."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradeflow.market.budget import Budget
from tradeflow.messages import BookRecord, Cause, Order, Trade
from tradeflow.normalize import canonical_decimal
from tradeflow.strategies.actions import Action
from tradeflow.strategies.strategy import Strategy, StrategyError
from tradeflow.strategies.views import BookView, Context

log = logging.getLogger(__name__)

Origin = BookRecord | Cause
"""What makes a strategy act: the event, or a timer's cause."""


class Run:
    """Calls the handlers, turns their actions into orders, and halts itself when one raises or is too slow.

    Without a `budget` nothing is timed, and all that it does is a function of the log."""

    def __init__(
        self,
        strategy: Strategy,
        symbols: tuple[str, ...],
        books: Mapping[str, Mapping[str, BookView]],
        budget: Budget | None = None,
    ) -> None:
        self.strategy = strategy
        self.symbols = symbols
        self.context = Context(symbols[0], books, type(strategy).State())
        self.halted = ""
        """Why it is halted; empty while it runs."""
        self.error: Exception | None = None
        self.orders = 0
        self.dirty = False
        self._budget = budget
        self._name = strategy.name
        self._params_hash = strategy.params_hash
        self._code = strategy.code_hash
        self._unreadable: bytes | None = None

    @property
    def key(self) -> str:
        """Of its state in the table."""
        return f"strategy/{self._name}-{self._params_hash}/{'+'.join(self.symbols)}"

    def handle(
        self, handler: Callable[..., Any], symbol: str, now: int, origin: Origin, *seen: Any
    ) -> list[Order]:
        """The orders that `handler`, shown `seen`, answers with: all of them, or none if it raises."""
        if self.halted:
            return []
        self.dirty = True
        context = self.context
        context.symbol, context.now = symbol, now
        budget = self._budget
        if budget is not None:
            budget.start()
        try:
            actions = handler(*seen, context)
            orders = [self._order(action, index, origin, now) for index, action in enumerate(actions or ())]
        except Exception as error:
            self.halt(f"{handler.__name__} raised {_described(error)}", error)
            return []
        if budget is not None and (reason := budget.stop()):
            self.halt(f"{handler.__name__} is {reason}")
        self.orders += len(orders)
        return orders

    def halt(self, reason: str, error: Exception | None = None) -> None:
        log.error("strategy %s is halted for %s: %s", self._name, "+".join(self.symbols), reason)
        self.halted, self.error, self.dirty = reason, error, True

    def _order(self, action: Action, index: int, origin: Origin, now: int) -> Order:
        if not isinstance(action, Action):
            raise StrategyError(f"{action!r} is not an action: yield buy(…) or sell(…)")
        cause = _cause(origin)
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
        )

    def _order_id(self, cause: Cause, index: int) -> str:
        """32 hex digits, which every exchange takes as a client's order id."""
        origin = (
            (cause.kind, cause.timer, cause.time)
            if cause.kind == "timer"
            else (cause.kind, cause.exchange, cause.epoch, cause.sequence)
        )
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
        return msgspec.json.encode(_Row(state=msgspec.Raw(state), halted=self.halted, code=self._code))

    def restore(self, value: bytes) -> None:
        """A state that no longer fits the class halts the run, and is kept for when the code is mended."""
        row = msgspec.json.decode(value, type=_Row)
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


class _Row(msgspec.Struct):
    state: msgspec.Raw
    halted: str
    code: str


def _cause(origin: Origin) -> Cause:
    """Of an order; built when there is one, for most events cause none."""
    if isinstance(origin, Cause):
        return origin
    return Cause(
        kind="trade" if isinstance(origin, Trade) else "book",
        exchange=origin.exchange,
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
