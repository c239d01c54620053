"""What a strategy sees: books, trades and its context, read-only and exact; its orders: order_views.py.

A view shows its book as of the event that is being handled.  Keep numbers, not views: later
it shows a later book.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tables.order_books import OrderBook, State
from tables.positions import Position
from tradeflow.messages import Level, Listing, Side, Trade
from tradeflow.strategies.order_views import OrderView, PositionView

if TYPE_CHECKING:
    from tradeflow.market.orders import TrackedOrder

_ZERO = Decimal(0)


class Quote(NamedTuple):
    """One price level."""

    price: Decimal
    size: Decimal


_Known = tuple[Level | None, Quote | None]
"""The touch when it was last asked for, as text and as numbers: most events leave it as it was."""


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

    __slots__ = ("_ask", "_bid", "_order_book", "exchange", "instrument", "symbol")

    def __init__(self, order_book: OrderBook) -> None:
        self._order_book = order_book
        self.exchange = order_book.exchange
        self.symbol = order_book.symbol
        self.instrument: InstrumentView | None = None
        """Its tick, lot and so on; None until its feed has told them."""
        self._bid: _Known = (None, None)
        self._ask: _Known = (None, None)

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
        level = self._order_book.book.best_bid
        if level != self._bid[0]:
            self._bid = level, None if level is None else _exact(level)
        return self._bid[1] or self._nothing("bids")

    @property
    def ask(self) -> Quote:
        """The best ask.  A live book has one; raises LookupError where there is none."""
        level = self._order_book.book.best_ask
        if level != self._ask[0]:
            self._ask = level, None if level is None else _exact(level)
        return self._ask[1] or self._nothing("asks")

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

    def _nothing(self, side: str) -> NoReturn:
        raise LookupError(f"{self!r} has no {side}: check book.live first ({self.reason})")

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
        return [OrderView(one) for one in self._orders.values()] if self._orders else []

    def position(self, exchange: str, symbol: str = "") -> PositionView:
        """What its own fills have left on an exchange; of this symbol, or another of the strategy's."""
        return PositionView(self._positions.get((exchange, symbol or self.symbol)))

    def books_of(self, symbol: str) -> Mapping[str, BookView]:
        """exchange → book of another of the strategy's `symbols`.  Raises KeyError for any other."""
        return self._books[symbol]


def _exact(level: tuple[str, str]) -> Quote:
    return Quote(Decimal(level[0]), Decimal(level[1]))
