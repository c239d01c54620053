"""A paper exchange with one book, driven as a market drives it."""

from __future__ import annotations

from typing import Any

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.execution import Fees, PaperExchange
from tradeflow.execution.venue import NEVER
from tradeflow.messages import Cause, Delta, Down, Execution, Order, Snapshot, Trade

MS = 1_000_000
START = 1_700_000_000_000 * MS
PLACE = ("kraken", "BTC-USDT")  # 0.25 % maker, 0.4 % taker, in quote

Levels = list[tuple[str, str]]


class Bench:
    """Times are milliseconds since START.  `at(ms)` first lets time pass; what is reported is kept in `said`."""

    def __init__(
        self, place: tuple[str, str] = PLACE, instrument: Instrument | None = None, **options: Any
    ) -> None:
        self.place = place
        self.instruments = {} if instrument is None else {place: instrument}
        self.order_book = OrderBook(*place)
        options = {"fees": Fees(), "instruments": self.instruments} | options
        self.venue = PaperExchange({place: self.order_book}, **options)
        self.now, self.sequence, self.trades, self.orders = START, -1, -1, 0
        self.said: list[Execution] = []

    def at(self, ms: int) -> Bench:
        self.now = START + ms * MS
        if self.now >= self.venue.due:
            self.venue.advance(self.now)
        self.said += self.venue.take()
        return self

    def snapshot(self, bids: Levels, asks: Levels, depth: int | None = None) -> Bench:
        self.sequence = 0
        fields = self._fields() | {"epoch": self.order_book.epoch + 1}
        event = Snapshot(**fields, bids=bids, asks=asks, depth=depth)
        self.order_book.snapshot(event, self.now)
        self.venue.book(event, self.order_book, self.now)
        return self

    def delta(self, bids: Levels = (), asks: Levels = ()) -> Bench:  # type: ignore[assignment]
        self.sequence += 1
        event = Delta(**self._fields(), bids=list(bids), asks=list(asks))
        self.order_book.delta(event, self.now)
        self.venue.book(event, self.order_book, self.now)
        return self

    def down(self) -> Bench:
        event = Down(**self._fields(), reason="lost")
        self.order_book.down(event, event.reason, self.now)
        self.venue.book(event, self.order_book, self.now)
        return self

    def trade(self, side: str, price: str, size: str) -> Bench:
        self.trades += 1
        fields = self._fields() | {"sequence": self.trades}
        event = Trade(**fields, side=side, price=price, size=size, trade_id=f"t{self.trades}")
        self.venue.trade(event, self.now)
        return self

    def order(self, side: str, price: str | None, size: str, **fields: Any) -> str:
        """Submitted now; its id."""
        self.orders += 1
        order_id = f"o{self.orders}"
        self.venue.submit(
            Order(
                order_id=order_id,
                strategy="test",
                params_hash="-",
                exchange=self.place[0],
                symbol=self.place[1],
                side=side,
                type="MARKET" if price is None else "LIMIT",
                price=price,
                size=size,
                event_time=self.now,
                cause=Cause(kind="timer"),
                **fields,
            ),
            self.now,
        )
        return order_id

    def cancel(self, order_id: str) -> None:
        self.venue.cancel(order_id, self.now)

    def rest(self) -> list[Execution]:
        """All that is still under way."""
        while self.venue.due < NEVER:
            self.at((self.venue.due - START) // MS)
        return self.said

    def fills(self, order_id: str = "") -> list[tuple[str, str]]:
        """(price, size) of those reported."""
        wanted = [one for one in self.rest() if one.last_price and order_id in ("", one.order_id)]
        return [(one.last_price, one.last_size) for one in wanted]

    def story(self, order_id: str = "") -> list[str]:
        return [one.status for one in self.rest() if order_id in ("", one.order_id)]

    def end(self, order_id: str = "") -> tuple[str, str]:
        """Last status and its reason code."""
        last = [one for one in self.rest() if order_id in ("", one.order_id)][-1]
        return last.status, last.reason_code

    def _fields(self) -> dict[str, Any]:
        exchange, symbol = self.place
        fields = {"exchange": exchange, "symbol": symbol, "receipt_time": self.now}
        return fields | {"epoch": self.order_book.epoch, "sequence": self.sequence}


def bench(**options: Any) -> Bench:
    """Three bids and three asks around 100.5."""
    one = Bench(**options)
    return one.snapshot(
        bids=[("100", "5"), ("99", "10"), ("98", "20")], asks=[("101", "5"), ("102", "10"), ("103", "20")]
    )
