"""`Working`: an order at the paper exchange: what is left of it, who stands before it, and its reports."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from tables.contracts import average_price, worth
from tables.exact import EXACT, text
from tables.instruments import Instrument
from tradeflow.execution.fees import Fee, charge
from tradeflow.messages import Execution, Liquidity, Order, OrderStatus

SETTLE = 200_000_000
"""Nanoseconds of event time that a level's size must have stood before it counts for the queue: by then the trades that
explain it have come as well, over a channel of their own (Binance's books come every 100 ms, its trades at once)."""

_ZERO = Decimal(0)


class Working(msgspec.Struct):
    order: Order
    instrument: Instrument
    fee: Fee
    limit: Decimal | None
    """None for a MARKET order."""
    price: str
    """The limit as the book spells it."""
    leaves: Decimal
    paid: Decimal = _ZERO
    """What its fills are worth."""
    reports: int = 0
    """So far, so the number of the next."""
    level: str = "0"
    """Size of the level at its price, others' orders alone, as last seen; "0" where there is none."""
    level_since: int = 0
    ahead: Decimal | None = _ZERO
    """What is matched before it at its price; None: that lies beyond what the book shows."""

    @classmethod
    def new(cls, order: Order, instrument: Instrument, fee: Fee) -> Working:
        limit = None if order.price is None else Decimal(order.price)
        return cls(order, instrument, fee, limit, "" if limit is None else text(limit), Decimal(order.size))

    # --- the queue at its price ---

    def join(self, level: str | None, now: int) -> None:
        """At the back of the level (None: it isn't shown)."""
        self.level, self.level_since = level or "0", now
        self.ahead = None if level is None else Decimal(level)

    def see(self, level: str, now: int) -> None:
        """The level is shown with this size."""
        if level == self.level and self.ahead is not None:
            return
        self.settle(now)
        if self.ahead is None:
            self.ahead = Decimal(level)
        self.level, self.level_since = level, now

    def settle(self, now: int) -> None:
        """No more can stand before it than its level holds; but see SETTLE."""
        if self.ahead is not None and now - self.level_since >= SETTLE:
            self.ahead = min(self.ahead, Decimal(self.level))

    def passes(self, price: Decimal, size: Decimal, now: int) -> Decimal:
        """What a trade at its price or beyond leaves for it, once those before it have had theirs."""
        if price != self.limit:  # beyond: whoever stood before it is gone
            self.ahead = _ZERO
            return size
        self.settle(now)
        if self.ahead is None:
            return _ZERO
        eaten = min(self.ahead, size)
        self.ahead = EXACT.subtract(self.ahead, eaten)
        return EXACT.subtract(size, eaten)

    # --- reports ---

    def fill(
        self, price: Decimal, size: Decimal, liquidity: Liquidity, now: int, trade_id: str | None = None
    ) -> Execution:
        self.leaves = EXACT.subtract(self.leaves, size)
        self.paid = EXACT.add(self.paid, worth(self.instrument.contract, self._value, price, size))
        fee, currency = charge(self.fee, self.instrument, self.order.side, price, size, liquidity)
        return self.report(
            now,
            "PARTIALLY_FILLED" if self.leaves else "FILLED",
            last_price=text(price),
            last_size=text(size),
            liquidity=liquidity,
            fee=text(fee),
            fee_currency=currency,
            trade_id=trade_id,
        )

    def report(
        self, now: int, status: OrderStatus, code: str = "", reason: str = "", **fill: Any
    ) -> Execution:
        filled, average = EXACT.subtract(Decimal(self.order.size), self.leaves), None
        if filled:
            average = text(average_price(self.instrument.contract, self._value, self.paid, filled))
        self.reports += 1
        return execution(
            self.order,
            self.reports - 1,
            now,
            status,
            code,
            reason,
            filled_size=text(filled),
            leaves_size=text(self.leaves),
            average_price=average,
            **fill,
        )

    @property
    def _value(self) -> Decimal:
        return Decimal(self.instrument.contract_value or 1)


def execution(
    order: Order, number: int, now: int, status: OrderStatus, code: str, reason: str, **more: Any
) -> Execution:
    """A report on an order; both of its times are `now`."""
    return Execution(
        exchange=order.exchange,
        symbol=order.symbol,
        execution_id=f"{order.order_id}-{number}",
        order_id=order.order_id,
        number=number,
        exchange_order_id=f"paper-{order.order_id}",
        strategy=order.strategy,
        side=order.side,
        status=status,
        reason_code=code,
        reason=reason,
        exchange_time=now,
        receipt_time=now,
        **more,
    )
