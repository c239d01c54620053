"""`Trial`: a strategy in a unit test: no Kafka, a virtual clock, the very code that runs it live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tradeflow.market import Market
from tradeflow.messages import (
    Cause,
    Clock,
    Delta,
    Down,
    Heartbeat,
    Instrument,
    Level,
    Listing,
    MarketEvent,
    Side,
    Snapshot,
    Trade,
)
from tradeflow.normalize import canonical_decimal
from tradeflow.strategies.actions import Exact, OrderType, TimeInForce
from tradeflow.strategies.strategy import Strategy
from tradeflow.symbols import canonical_symbol

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
"""Where the virtual clock begins, nanoseconds."""

Levels = Exact | Iterable[tuple[Exact, Exact]]
"""One price (size 1), or (price, size) pairs."""


class TrialError(AssertionError):
    """The strategy raised; the cause is the exception."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it went to topic `orders`, its numbers as Decimal."""

    order_id: str
    strategy: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    post_only: bool
    price: Decimal | None
    size: Decimal
    tag: str
    event_time: int
    cause: Cause


class Trial:
    """Runs strategies on events that the test makes up; `sent` collects their orders.

    `books`: the (exchange, symbol) pairs served; by default `exchanges` × the strategies' symbols (BTC-USDT
    where they name none).  A strategy that raises raises TrialError here."""

    def __init__(
        self,
        *strategies: Strategy,
        exchanges: Sequence[str] = ("binance", "coinbase", "kraken"),
        books: Sequence[tuple[str, str]] | None = None,
        silence_seconds: float = 5,
    ) -> None:
        symbols = [symbol for strategy in strategies for symbol in strategy.symbols] or ["BTC-USDT"]
        self.symbol = symbols[0]
        """Where an event goes that names no symbol."""
        self.now = START
        """The virtual clock, nanoseconds; advance() moves it."""
        self.sent: list[Sent] = []
        """Every order so far."""
        self.market = Market(
            0,
            books
            if books is not None
            else [(name, symbol) for name in exchanges for symbol in sorted(set(symbols))],
            strategies,
            silence_ns=round(silence_seconds * SECOND),
        )
        self._epochs: dict[tuple[str, str], int] = {}
        self._sequences: dict[tuple[str, str, str], int] = {}
        self._offset = -1

    def book(self, exchange: str, *, bid: Levels = (), ask: Levels = (), symbol: str = "") -> None:
        """A snapshot: the whole book."""
        self._apply(Snapshot(**self._place("book", exchange, symbol), bids=_levels(bid), asks=_levels(ask)))

    def delta(self, exchange: str, *, bid: Levels = (), ask: Levels = (), symbol: str = "") -> None:
        """Absolute sizes of some levels; size 0 removes."""
        self._apply(Delta(**self._place("book", exchange, symbol), bids=_levels(bid), asks=_levels(ask)))

    def trade(
        self,
        exchange: str,
        *,
        side: Side,
        price: Exact,
        size: Exact = 1,
        trade_id: str | None = None,
        symbol: str = "",
    ) -> None:
        """A trade; `side` is the taker's."""
        place = self._place("trade", exchange, symbol)
        self._apply(Trade(**place, side=side, price=_text(price), size=_text(size), trade_id=trade_id))

    def instrument(self, exchange: str, *, symbol: str = "", **terms: Any) -> None:
        """What the exchange says of the instrument: `tick="0.01"`, `lot`, `min_notional`, `kind` and so on, as in
        `Listing`; a spot instrument by default."""
        place = self._place("instrument", exchange, symbol)
        base, quote = place["symbol"].split("-")[:2]
        self._apply(
            Instrument(**place, listing=Listing(**{"kind": "spot", "base": base, "quote": quote} | terms))
        )

    def down(self, exchange: str, *, reason: str = "connection lost", symbol: str = "") -> None:
        """The exchange's connection is lost: the book is stale until the next snapshot."""
        place = self._place("book", exchange, symbol)
        self._apply(Down(**place, reason=reason))
        self._epochs[exchange, place["symbol"]] += 1

    def advance(self, *, seconds: float, silent: Collection[str] = ()) -> None:
        """Let event time pass, each second with a clock record and, from each exchange that isn't `silent` or
        down, heartbeats: timers fire, silent books go stale."""
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.now = min(self.now + SECOND, end)
            for (exchange, symbol), epoch in self._epochs.items():
                sequence = self._sequences.get(("book", exchange, symbol), -1)
                if exchange not in silent and self.market.books[exchange, symbol].epoch == epoch:
                    self._apply(
                        Heartbeat(
                            exchange=exchange,
                            symbol=symbol,
                            epoch=epoch,
                            sequence=sequence,
                            receipt_time=self.now,
                        )
                    )
            self._apply(Clock(receipt_time=self.now))

    def state(self, strategy: Strategy, symbol: str = "") -> Any:
        """The State of a strategy on a symbol."""
        symbol = canonical_symbol(symbol) if symbol else self.symbol
        return next(
            run.context.state
            for run in self.market.runs
            if run.strategy is strategy and symbol in run.symbols
        )

    def _place(self, kind: str, exchange: str, symbol: str) -> dict[str, Any]:
        symbol = canonical_symbol(symbol) if symbol else self.symbol
        if (exchange, symbol) not in self.market.books:
            raise ValueError(
                f"{exchange} {symbol} is not in this trial; its books are {sorted(self.market.books)}"
            )
        epoch = self._epochs.setdefault((exchange, symbol), 1)
        sequence = self._sequences.get((kind, exchange, symbol), -1) + 1
        self._sequences[kind, exchange, symbol] = sequence
        return {
            "exchange": exchange,
            "symbol": symbol,
            "epoch": epoch,
            "sequence": sequence,
            "receipt_time": self.now,
            **({"exchange_time": self.now} if kind == "trade" else {}),
        }

    def _apply(self, event: MarketEvent) -> None:
        self._offset += 1
        self.market.apply(event, self._offset)
        outputs = self.market.take_outputs()
        self.sent += [
            msgspec.json.decode(sent.value, type=Sent) for sent in outputs if sent.topic == "orders"
        ]
        for run in self.market.runs:
            if run.halted:
                raise TrialError(f"{run.strategy.name}: {run.halted}") from run.error


def _levels(levels: Levels) -> list[Level]:
    if isinstance(levels, (Decimal, str, int, float)):
        return [(_text(levels), "1")]
    return [(_text(price), _text(size)) for price, size in levels]


def _text(number: Exact) -> str:
    if isinstance(number, bool) or not isinstance(number, (Decimal, str, int)):
        raise TypeError(f"{number!r}: write prices and sizes as str, int or Decimal")
    return canonical_decimal(format(number, "f") if isinstance(number, Decimal) else str(number))
