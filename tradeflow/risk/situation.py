"""What the gate sees when it decides: books, purses and open orders of its partition, as of that place of the log."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tables.positions import Position
from tradeflow.messages import Order, Side

_ZERO = Decimal(0)
_HALF = Decimal("0.5")


class OpenOrder(Protocol):
    """Passed the gate and may still be filled: in flight, resting, or with a cancel under way."""

    @property
    def order(self) -> Order:
        """As `RiskGate.bounded` made it: with a price, the worst that it may be filled at."""
        ...

    @property
    def leaves(self) -> str: ...


@dataclass(slots=True)
class Account:
    """One book of the partition and what is at stake there, of all strategies; kept current by the market."""

    book: OrderBook
    position: Position
    open_orders: Collection[OpenOrder]
    instrument: Instrument | None = None
    """None: not known (yet); then a symbol of two currencies is spot, without steps."""

    @property
    def mid(self) -> Decimal | None:
        """Of the last known levels; None if a side is empty."""
        bid, ask = self.book.book.best_bid, self.book.book.best_ask
        return None if bid is None or ask is None else (Decimal(bid[0]) + Decimal(ask[0])) * _HALF


@dataclass(slots=True)
class Situation:
    accounts: Mapping[tuple[str, str], Account]
    """(exchange, symbol) → account: every book of the partition."""
    known: Container[str]
    """Ids of orders that have had a verdict."""


class Terms(NamedTuple):
    """In which steps a book is traded, and what a size of it is worth."""

    spot: bool
    multiplier: Decimal
    """Quote currency of one unit (inverse contracts), or of one unit at a price of 1."""
    by_price: bool
    rate: Decimal
    """Of the quote currency, in the limits' unit."""
    tick: Decimal | None
    lot: Decimal | None
    min_notional: Decimal | None

    def quote(self, size: Decimal, price: Decimal) -> Decimal:
        """In quote currency."""
        value = size * self.multiplier
        return value * price if self.by_price else value

    def worth(self, size: Decimal, price: Decimal) -> Decimal:
        """In the limits' unit."""
        return self.quote(size, price) * self.rate

    @classmethod
    def of(cls, instrument: Instrument, rate: Decimal) -> Terms:
        return cls(
            spot=instrument.contract == "spot",
            multiplier=Decimal(instrument.contract_value or 1),
            by_price=instrument.contract != "inverse",
            rate=rate,
            tick=_exact(instrument.tick),
            lot=_exact(instrument.lot),
            min_notional=_exact(instrument.min_notional),
        )


class Exposure(NamedTuple):
    """How far a book's position can go by fills of its open orders, in whatever order they come."""

    size: Decimal
    buys: Decimal
    """Sum of what is open to buy."""
    sells: Decimal

    @classmethod
    def of(cls, account: Account) -> Exposure:
        buys = sells = _ZERO
        for one in account.open_orders:
            if one.order.side == "buy":
                buys += Decimal(one.leaves)
            else:
                sells += Decimal(one.leaves)
        return cls(account.position.size, buys, sells)

    def with_order(self, side: Side, size: Decimal) -> Exposure:
        if side == "buy":
            return self._replace(buys=self.buys + size)
        return self._replace(sells=self.sells + size)

    @property
    def longest(self) -> Decimal:
        return self.size + self.buys

    @property
    def shortest(self) -> Decimal:
        return self.size - self.sells

    @property
    def worst(self) -> Decimal:
        """The largest absolute position: it is reached when one side fills and the other doesn't."""
        return max(abs(self.longest), abs(self.shortest))


def worst(account: Account) -> Decimal:
    """Exposure.worst; most books have nothing open."""
    return Exposure.of(account).worst if account.open_orders else abs(account.position.size)


def mark(account: Account) -> Decimal:
    """What its exposure is valued at: the mid of the last known levels; where there are none, the highest of the
    prices that it has bought, sold or would trade at."""
    mid = account.mid
    if mid is not None:
        return mid
    prices = [worst_price(one) for one in account.open_orders]
    if account.position.average_price is not None:
        prices.append(account.position.average_price)
    return max(prices, default=_ZERO)


def worst_price(one: OpenOrder) -> Decimal:
    price = one.order.price
    assert price is not None, (
        f"{one.order.order_id} is open as it was sent: keep what RiskGate.bounded made of it"
    )
    return Decimal(price)


def _exact(number: str | None) -> Decimal | None:
    return None if number is None else Decimal(number)
