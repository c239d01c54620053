"""What a strategy sees of its own orders: each as it stands, what becomes of it, and the position that is left."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from tables.positions import Position
from tradeflow.messages import Execution, Liquidity, OrderStatus, Side

if TYPE_CHECKING:
    from tradeflow.market.orders import TrackedOrder

_ZERO = Decimal(0)


class OrderView:
    """An order of the strategy's own, as it stands now."""

    __slots__ = ("_tracked",)

    def __init__(self, tracked: TrackedOrder) -> None:
        self._tracked = tracked

    @property
    def order_id(self) -> str:
        return self._tracked.order.order_id

    @property
    def exchange(self) -> str:
        return self._tracked.order.exchange

    @property
    def symbol(self) -> str:
        return self._tracked.order.symbol

    @property
    def side(self) -> Side:
        return self._tracked.order.side

    @property
    def price(self) -> Decimal | None:
        """None of a MARKET order."""
        return _number(self._tracked.order.price)

    @property
    def size(self) -> Decimal:
        return Decimal(self._tracked.order.size)

    @property
    def filled(self) -> Decimal:
        """Of its size, so far."""
        return Decimal(self._tracked.filled)

    @property
    def leaves(self) -> Decimal:
        """What may still be filled; 0 once it has ended."""
        return Decimal(self._tracked.leaves)

    @property
    def average_price(self) -> Decimal | None:
        """Of what was filled."""
        return _number(self._tracked.average)

    @property
    def status(self) -> OrderStatus:
        """INITIALIZED: sent, and not decided on yet; then as its executions say."""
        return self._tracked.status

    @property
    def canceling(self) -> bool:
        """Its cancel was sent."""
        return self._tracked.cancel

    @property
    def tag(self) -> str:
        return self._tracked.order.tag

    @property
    def event_time(self) -> int:
        """When it was sent, nanoseconds."""
        return self._tracked.order.event_time

    def __repr__(self) -> str:
        price = self.price or "MARKET"
        where = f"{self.exchange} {self.symbol}"
        return f"<{self.side} {self.size} at {price} on {where}: {self.status}, {self.filled} filled>"


class ExecutionView:
    """What became of an order of the strategy's own: the gate's verdict, or a venue's report."""

    __slots__ = ("_execution", "order")

    def __init__(self, execution: Execution, order: OrderView) -> None:
        self._execution = execution
        self.order = order
        """As it stands after this."""

    @property
    def order_id(self) -> str:
        return self._execution.order_id

    @property
    def exchange(self) -> str:
        return self._execution.exchange

    @property
    def symbol(self) -> str:
        return self._execution.symbol

    @property
    def side(self) -> Side:
        return self._execution.side

    @property
    def status(self) -> OrderStatus:
        return self._execution.status

    @property
    def reason_code(self) -> str:
        """Why DENIED, REJECTED, CANCELED or EXPIRED."""
        return self._execution.reason_code

    @property
    def reason(self) -> str:
        return self._execution.reason

    @property
    def is_fill(self) -> bool:
        """Something was bought or sold: `price` and `size` say what."""
        return self._execution.last_size is not None

    @property
    def price(self) -> Decimal | None:
        """Of this fill; None where it is none."""
        return _number(self._execution.last_price)

    @property
    def size(self) -> Decimal:
        """Of this fill; 0 where it is none."""
        return Decimal(self._execution.last_size or 0)

    @property
    def filled(self) -> Decimal:
        """Of the order, so far."""
        return Decimal(self._execution.filled_size)

    @property
    def leaves(self) -> Decimal:
        return Decimal(self._execution.leaves_size)

    @property
    def liquidity(self) -> Liquidity | None:
        return self._execution.liquidity

    @property
    def fee(self) -> Decimal:
        """Of this fill, in `fee_currency`; below zero is a rebate."""
        return Decimal(self._execution.fee or 0)

    @property
    def fee_currency(self) -> str | None:
        return self._execution.fee_currency

    @property
    def tag(self) -> str:
        """Of the order."""
        return self.order.tag


class PositionView:
    """What a strategy's own fills on one book have left, since it began."""

    __slots__ = ("_position",)

    def __init__(self, position: Position | None) -> None:
        self._position = position

    @property
    def size(self) -> Decimal:
        """Bought minus sold, fees aside; contracts: their number.  Below zero is short."""
        return _ZERO if self._position is None else self._position.size

    @property
    def average_price(self) -> Decimal | None:
        """None when flat."""
        return None if self._position is None else self._position.average_price

    @property
    def realized(self) -> Decimal:
        """Profit, before fees: in the quote currency, of inverse contracts in the base currency."""
        return _ZERO if self._position is None else self._position.realized

    @property
    def fees(self) -> Mapping[str, Decimal]:
        """Currency → paid."""
        return {} if self._position is None else dict(self._position.fees)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
