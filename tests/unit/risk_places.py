"""Books, positions and open orders as the plain model of the risk gate holds them, and as the gate sees them.

In integers: prices and sizes in twentieths, money in 1/400,000, bases in 1/20,000, fees in 1/1,000."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.risk import Account

# exchange, symbol, contract, value of a contract, quote, tick and lot and least notional, if there is an instrument
BOOKS = (
    ("binance", "BTC-USDT", "spot", None, "USDT", ("0.5", "0.1", "20")),
    ("binance", "ETH-BTC", "spot", None, "BTC", None),
    ("kraken", "BTC-USDT", "spot", None, "USDT", (None, "0.1", None)),
    ("kraken", "SOL-GBP", "spot", None, "GBP", None),
    ("bitmex", "BTC-USD-PERP", "inverse", "5", "USD", ("0.5", "0.1", None)),
    ("okx", "BTC-USDT-PERP", "linear", "0.5", "USDT", ("0.5", "0.1", "5")),
    ("okx", "SOL-USDT-PERP", "linear", None, "USDT", (None, None, None)),
    ("okx", "ETH-USDT-PERP", "linear", "2", "USDT", None),
)
UNVALUED = (BOOKS[3], BOOKS[6], BOOKS[7])


def text(value: int, unit: int) -> str:
    number = format(Decimal(value) / unit, "f")
    return number.rstrip("0").rstrip(".") if "." in number else number


@dataclass
class Open:
    """An order that passed; prices and leaves in twentieths.  Also what the gate sees of it."""

    order_id: str
    strategy: str
    side: str
    tif: str
    units: int
    left: int
    type: str = "LIMIT"

    @property
    def order(self) -> Open:
        return self

    @property
    def price(self) -> str:
        return text(self.units, 20)

    @property
    def leaves(self) -> str:
        return text(self.left, 20)


@dataclass
class Place:
    """A book as the model holds it."""

    exchange: str
    symbol: str
    contract: str
    value: str | None
    quote_currency: str
    steps: tuple[str | None, str | None, str | None] | None
    size: int
    base: int
    quote: int
    bid: int = 1990
    ask: int = 2010
    state: str = "live"
    orders: list[Open] = field(default_factory=list)
    average: int | None = None

    def __post_init__(self) -> None:
        self.start = self.size
        self.book = OrderBook(self.exchange, self.symbol)
        self.position = SimpleNamespace()
        instrument = None
        if self.steps is not None:
            tick, lot, least = self.steps
            instrument = Instrument(
                exchange=self.exchange,
                symbol=self.symbol,
                base=self.symbol.split("-")[0],
                quote=self.quote_currency,
                contract=self.contract,
                contract_value=self.value,
                tick=tick,
                lot=lot,
                min_notional=least,
            )
        self.account = Account(self.book, self.position, self.orders, instrument)
        self.show()

    def show(self) -> None:
        """The gate's view of this."""
        self.book.book.replace([(text(self.bid, 20), "1")], [(text(self.ask, 20), "1")])
        if self.state == "broken":
            self.book.book.replace([], [])
        self.book.state = self.state
        self.position.size = Decimal(self.size) / 20
        self.position.base = Decimal(self.base) / 20_000
        self.position.quote = Decimal(self.quote) / 400_000
        self.position.average_price = None if self.average is None else Decimal(self.average) / 20

    @property
    def mid(self) -> Fraction:
        return Fraction(self.bid + self.ask, 40)

    def worth(self, size: Fraction, price: Fraction) -> Fraction:
        """In quote currency."""
        if self.contract == "inverse":
            return size * Fraction(self.value)
        return size * price * Fraction(self.value or 1)

    def sizes(self, more: tuple[tuple[str, int], ...] = ()) -> set[int]:
        """All that the position may become, doubled, after `more` (side, size) has filled wholly."""
        reached = {2 * self.size}
        for order in self.orders:
            sign = 1 if order.side == "buy" else -1
            reached = {size + sign * part * order.left for size in reached for part in (0, 1, 2)}
        for side, size in more:
            reached = {one + (2 * size if side == "buy" else -2 * size) for one in reached}
        return reached

    def worst(self, more: tuple[tuple[str, int], ...] = ()) -> Fraction:
        either = self.sizes() | self.sizes(more)
        return Fraction(max(map(abs, either)), 40)

    def mark(self) -> Fraction:
        if self.state != "broken":
            return self.mid
        prices = [order.units for order in self.orders] + [self.average or 0]
        return Fraction(max(prices), 20)
