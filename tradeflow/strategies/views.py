"""What a strategy sees: books, trades, its orders, their executions and its context, read-only and exact.

A view shows its book as of the event that is being handled.  Keep numbers, not views: later
it shows a later book.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tables.order_books import OrderBook, State
from tables.positions import Position
from tradeflow.messages import Execution, Liquidity, Listing, OrderStatus, Side, Trade

if TYPE_CHECKING:
    from tradeflow.market.orders import TrackedOrder

_ZERO = Decimal(0)


class Quote(NamedTuple):
    """One price level."""

    price: Decimal
    size: Decimal


class InstrumentView(NamedTuple):
    """What the exchange says of an instrument; None where it says nothing."""

    kind: str
    """spot, linear, inverse or quanto: what a size counts."""
    base: str
    quote: str
    tick: Decimal | None
    """Prices are multiples of it."""
    lot: Decimal | None
    """Sizes of orders are multiples of it."""
    min_notional: Decimal | None
    """Least price × size of an order, in the quote currency."""
    multiplier: Decimal | None
    """A contract is so much of the base (linear), of the quote (inverse), or of `settle` for each unit of the price."""
    settle: str | None

    @classmethod
    def of(cls, listing: Listing) -> InstrumentView:
        numbers = (listing.tick, listing.lot, listing.min_notional, listing.multiplier)
        tick, lot, least, multiplier = (None if number is None else Decimal(number) for number in numbers)
        return cls(listing.kind, listing.base, listing.quote, tick, lot, least, multiplier, listing.settle)


class BookView:
    """A book of one exchange and symbol.  Numbers become Decimal when asked for."""

    __slots__ = ("_order_book", "exchange", "instrument", "symbol")

    def __init__(self, order_book: OrderBook) -> None:
        self._order_book = order_book
        self.exchange = order_book.exchange
        self.symbol = order_book.symbol
        self.instrument: InstrumentView | None = None
        """Its tick, lot and so on; None until its feed has told them."""

    @property
    def state(self) -> State:
        """syncing, live, stale or broken; act on a live book only."""
        return self._order_book.state

    @property
    def reason(self) -> str:
        """Why it isn't live."""
        return self._order_book.reason

    @property
    def live(self) -> bool:
        return self._order_book.state == "live"

    @property
    def epoch(self) -> int:
        return self._order_book.epoch

    @property
    def sequence(self) -> int:
        return self._order_book.sequence

    @property
    def exchange_time(self) -> int | None:
        """Nanoseconds; None if the exchange did not say."""
        return self._order_book.exchange_time

    @property
    def receipt_time(self) -> int:
        """Nanoseconds, of the last record applied."""
        return self._order_book.receipt_time

    @property
    def last_verified(self) -> int | None:
        """Event time at which the exchange last confirmed it: by a snapshot, or by a checksum that was right."""
        return self._order_book.last_verified

    @property
    def bid(self) -> Quote:
        """The best bid.  A live book has one; raises LookupError where there is none."""
        return self._quote(self._order_book.book.best_bid, "bids")

    @property
    def ask(self) -> Quote:
        """The best ask.  A live book has one; raises LookupError where there is none."""
        return self._quote(self._order_book.book.best_ask, "asks")

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask, exact."""
        return self._middle(0)

    @property
    def spread(self) -> Decimal:
        """Ask minus bid, exact."""
        return self._middle(1)

    def top(self, n: int) -> tuple[list[Quote], list[Quote]]:
        """(bids, asks), at most `n` each, best first."""
        bids, asks = self._order_book.book.top(n)
        return [_exact(level) for level in bids], [_exact(level) for level in asks]

    def volume(self, n: int) -> tuple[Decimal, Decimal]:
        """(bids, asks): the summed sizes of at most `n` levels a side, exact where 28 digits hold them."""
        bids, asks = self._order_book.book.top(n)
        bid = sum([Decimal(size) for _, size in bids], _ZERO)
        return bid, sum([Decimal(size) for _, size in asks], _ZERO)

    def __repr__(self) -> str:
        return f"<{self.exchange} {self.symbol} {self.state} {self.epoch}:{self.sequence}>"

    def _quote(self, level: tuple[str, str] | None, side: str) -> Quote:
        if level is None:
            raise LookupError(f"{self!r} has no {side}: check book.live first ({self.reason})")
        return _exact(level)

    def _middle(self, index: int) -> Decimal:
        values = self._order_book.book.mid_and_spread()
        if values is None:
            raise LookupError(f"{self!r} has an empty side: check book.live first ({self.reason})")
        return Decimal(values[index])


class TradeView:
    """A trade: `side` is the taker's."""

    __slots__ = ("_trade",)

    def __init__(self, trade: Trade) -> None:
        self._trade = trade

    @property
    def exchange(self) -> str:
        return self._trade.exchange

    @property
    def symbol(self) -> str:
        return self._trade.symbol

    @property
    def side(self) -> Side:
        return self._trade.side

    @property
    def price(self) -> Decimal:
        return Decimal(self._trade.price)

    @property
    def size(self) -> Decimal:
        return Decimal(self._trade.size)

    @property
    def trade_id(self) -> str | None:
        return self._trade.trade_id

    @property
    def order_type(self) -> str | None:
        return self._trade.order_type

    @property
    def exchange_time(self) -> int | None:
        return self._trade.exchange_time

    @property
    def receipt_time(self) -> int:
        return self._trade.receipt_time


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


class Context:
    """What a handler knows beside its event: one a run, the same object at every event."""

    __slots__ = ("_books", "_orders", "_positions", "now", "state", "symbol")

    def __init__(
        self,
        symbol: str,
        books: Mapping[str, Mapping[str, BookView]],
        state: Any,
        orders: Mapping[str, TrackedOrder],
        positions: Mapping[tuple[str, str], Position],
    ) -> None:
        self._books = books
        self._positions = positions
        self._orders = orders
        self.symbol = symbol
        """Of the event; in a timer of a strategy with `symbols`, the first of them."""
        self.state: Any = state
        """The strategy's own State, kept over restarts."""
        self.now = 0
        """Event time in nanoseconds: the largest receipt time seen in the partition."""

    @property
    def books(self) -> Mapping[str, BookView]:
        """exchange → book of this symbol, whatever its state: check `.live`."""
        return self._books[self.symbol]

    @property
    def orders(self) -> list[OrderView]:
        """Its own orders that have not ended, oldest first: from the moment that they are yielded."""
        return [OrderView(one) for one in self._orders.values()]

    def position(self, exchange: str, symbol: str = "") -> PositionView:
        """What its own fills have left on an exchange; of this symbol, or another of the strategy's."""
        return PositionView(self._positions.get((exchange, symbol or self.symbol)))

    def books_of(self, symbol: str) -> Mapping[str, BookView]:
        """exchange → book of another of the strategy's `symbols`.  Raises KeyError for any other."""
        return self._books[symbol]


def _exact(level: tuple[str, str]) -> Quote:
    return Quote(Decimal(level[0]), Decimal(level[1]))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
