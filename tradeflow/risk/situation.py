"""What the gate sees when it decides: books, purses and open orders of its partition, as of that place of the log."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from tables.order_books import OrderBook
from tradeflow.messages import Side

_ZERO = Decimal(0)
_HALF = Decimal("0.5")


class Instrument(Protocol):
    """Exact strings, None where the exchange doesn't say."""

    @property
    def tick(self) -> str | None: ...
    @property
    def lot(self) -> str | None: ...
    @property
    def min_notional(self) -> str | None: ...
    @property
    def quote(self) -> str: ...
    @property
    def contract(self) -> str:
        """`spot`, `linear` or `inverse`."""
        ...

    @property
    def contract_value(self) -> str | None:
        """One contract in base (linear) or in quote (inverse); None for spot."""
        ...


class Purse(Protocol):
    """One book's position and balances; of contracts only size and average_price are looked at."""

    @property
    def size(self) -> Decimal: ...
    @property
    def base(self) -> Decimal: ...
    @property
    def quote(self) -> Decimal: ...
    @property
    def average_price(self) -> Decimal | None: ...


class OpenOrder(Protocol):
    """Passed the gate and may still be filled: in flight, resting, or with a cancel under way."""

    @property
    def order_id(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def tif(self) -> str: ...
    @property
    def price(self) -> Decimal:
        """The worst that it may be filled at; of a MARKET order the gate's bound."""
        ...

    @property
    def leaves(self) -> Decimal: ...


@dataclass(slots=True)
class Account:
    """One book of the partition and what is at stake there, of all strategies; kept current by the market."""

    book: OrderBook
    position: Purse
    open_orders: Collection[OpenOrder]
    instrument: Instrument | None = None

    @property
    def mid(self) -> Decimal | None:
        """Of the last known levels; None if a side is empty."""
        bid, ask = self.book.book.best_bid, self.book.book.best_ask
        return None if bid is None or ask is None else (Decimal(bid[0]) + Decimal(ask[0])) * _HALF

    @property
    def spot(self) -> bool:
        """A book whose symbol names no more than two currencies is spot until its instrument says otherwise."""
        return self.instrument is None or self.instrument.contract == "spot"

    @property
    def tick(self) -> Decimal | None:
        return None if self.instrument is None else _exact(self.instrument.tick)

    @property
    def lot(self) -> Decimal | None:
        return None if self.instrument is None else _exact(self.instrument.lot)

    @property
    def min_notional(self) -> Decimal | None:
        return None if self.instrument is None else _exact(self.instrument.min_notional)


@dataclass(slots=True)
class Situation:
    accounts: Mapping[tuple[str, str], Account]
    """(exchange, symbol) → account: every book of the partition."""
    known: Container[str]
    """Ids of orders that have had a verdict."""


class Valuation(NamedTuple):
    """What a size of one book is worth."""

    multiplier: Decimal
    """Quote currency of one unit (inverse contracts), or of one unit at a price of 1."""
    by_price: bool
    rate: Decimal
    """Of the quote currency, in the limits' unit."""

    def quote(self, size: Decimal, price: Decimal) -> Decimal:
        """In quote currency."""
        value = size * self.multiplier
        return value * price if self.by_price else value

    def worth(self, size: Decimal, price: Decimal) -> Decimal:
        """In the limits' unit."""
        return self.quote(size, price) * self.rate


class Exposure(NamedTuple):
    """How far a book's position can go by fills of its open orders, in whatever order they come."""

    size: Decimal
    buys: Decimal
    """Sum of what is open to buy."""
    sells: Decimal

    @classmethod
    def of(cls, account: Account) -> Exposure:
        buys = sells = _ZERO
        for order in account.open_orders:
            if order.side == "buy":
                buys += order.leaves
            else:
                sells += order.leaves
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


def mark(account: Account) -> Decimal:
    """What its exposure is valued at: the mid of the last known levels; where there are none, the highest of the
    prices that it has bought, sold or would trade at."""
    mid = account.mid
    if mid is not None:
        return mid
    prices = [order.price for order in account.open_orders]
    if account.position.average_price is not None:
        prices.append(account.position.average_price)
    return max(prices, default=_ZERO)


def _exact(number: str | None) -> Decimal | None:
    return None if number is None else Decimal(number)
