"""`Trial`: a strategy in a unit test: no Kafka, a virtual clock, the very code that runs it live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tradeflow.market import Market
from tradeflow.market.loop import Loop
from tradeflow.market.orders import TrackedOrder
from tradeflow.messages import (
    Clock,
    Command,
    Delta,
    Down,
    Execution,
    Heartbeat,
    Instrument,
    Level,
    Liquidity,
    Listing,
    MarketEvent,
    Order,
    OrderStatus,
    Side,
    Snapshot,
    Steer,
    Trade,
)
from tradeflow.normalize import canonical_decimal
from tradeflow.strategies.actions import Exact
from tradeflow.strategies.order_views import PositionView
from tradeflow.strategies.strategy import Strategy
from tradeflow.strategies.trial_records import Sent, Told
from tradeflow.symbols import canonical_symbol

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
"""Where the virtual clock begins, nanoseconds."""

Levels = Exact | Iterable[tuple[Exact, Exact]]
"""One price (size 1), or (price, size) pairs."""


class TrialError(AssertionError):
    """The strategy raised; the cause is the exception."""


class Trial:
    """Runs strategies on events that the test makes up; `sent` collects their orders and cancels.

    What becomes of an order the test says as well: `submit`, `accept`, `fill`, `deny` …; until then it is in flight.
    With `paper` the risk gate and the paper exchange say it, as time passes (`advance`), as in a worker without files
    of its own.  `risk`, `fees`, `balances`: what risk.toml, fees.toml and balances.toml would say; `latency_seconds`:
    one way to the exchange.

    `books`: the (exchange, symbol) pairs served; by default `exchanges` × the strategies' symbols (BTC-USDT
    where they name none).  A strategy that raises raises TrialError here."""

    def __init__(
        self,
        *strategies: Strategy,
        exchanges: Sequence[str] = ("binance", "coinbase", "kraken"),
        books: Sequence[tuple[str, str]] | None = None,
        silence_seconds: float = 5,
        paper: bool = False,
        risk: str = "",
        fees: str = "",
        balances: str = "",
        latency_seconds: float = 0.05,
    ) -> None:
        symbols = [symbol for strategy in strategies for symbol in strategy.symbols] or ["BTC-USDT"]
        self.symbol = symbols[0]
        """Where an event goes that names no symbol."""
        self.now = START
        """The virtual clock, nanoseconds; advance() moves it."""
        self.sent: list[Sent] = []
        """Every command so far, oldest first: `command` is NEW or CANCEL."""
        self.executions: list[Told] = []
        """Every verdict and report so far, oldest first."""
        if books is None:
            books = [(name, symbol) for name in exchanges for symbol in sorted(set(symbols))]
        trading: dict[str, Any] = {}
        if paper:
            texts = {"risk": risk, "fees": fees, "balances": balances, "paper_latency": latency_seconds}
            trading = _trading(books, strategies, texts)
        self.market = Market(0, books, strategies, silence_ns=round(silence_seconds * SECOND), **trading)
        self._loop = Loop(self.market) if paper else None
        self._epochs: dict[tuple[str, str], int] = {}
        self._sequences: dict[tuple[str, str, str], int] = {}
        self._commands: dict[tuple[str, str], Order] = {}
        self._offset = self._words = -1

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

    @property
    def positions(self) -> dict[tuple[str, str], PositionView]:
        """(exchange, symbol) → what the fills of all strategies have left there."""
        accounts = self.market.trading.accounts
        return {place: PositionView(accounts.position(place)) for place in self.market.books}

    def submit(self, order: Sent) -> None:
        """The order, or the cancel, passes the gate."""
        self._must_not_be_paper()
        command = self._commands[order.order_id, order.command]
        self._apply(Command(order=command, offset=0, receipt_time=self.now))

    def deny(self, order: Sent, reason_code: str = "HALTED", reason: str = "") -> None:
        """The gate refuses it."""
        self.report(order, "DENIED", leaves_size="0", reason_code=reason_code, reason=reason)

    def accept(self, order: Sent) -> None:
        """It waits in the exchange's book."""
        self.report(order, "ACCEPTED")

    def fill(
        self,
        order: Sent,
        size: Exact | None = None,
        *,
        price: Exact | None = None,
        fee: Exact = 0,
        fee_currency: str | None = None,
        liquidity: Liquidity = "taker",
    ) -> None:
        """Some of it is filled, by default all that is left, at its price.  A MARKET order needs a price."""
        one = self._tracked(order)
        at = order.price if price is None else Decimal(_text(price))
        if at is None:
            raise ValueError(f"order {order.order_id} has no price: fill(order, price=…)")
        left, filled = Decimal(one.leaves), Decimal(one.filled)
        last = left if size is None else Decimal(_text(size))
        if not 0 < last <= left:
            raise ValueError(f"{last} of order {order.order_id} can't be filled: {left} are left")
        paid = filled * Decimal(one.average or 0) + last * at
        self.report(
            order,
            "FILLED" if last == left else "PARTIALLY_FILLED",
            last_price=_text(at),
            last_size=_text(last),
            filled_size=_text(filled + last),
            leaves_size=_text(left - last),
            average_price=_text(paid / (filled + last)),
            liquidity=liquidity,
            fee=_text(fee),
            fee_currency=fee_currency,
        )

    def report(self, order: Sent, status: OrderStatus, **fields: Any) -> None:
        """Whatever else may become of it, e.g. `"CANCELED", leaves_size="0"`; `fields` as in topic `executions`."""
        self._must_not_be_paper()
        one = self._tracked(order)
        if one.status == "INITIALIZED" and status not in ("DENIED", "SUBMITTED"):
            self.submit(order)
        number = -1 if status in ("DENIED", "SUBMITTED") else one.number + 1
        known = {"filled_size": one.filled, "leaves_size": one.leaves, "average_price": one.average}
        execution = Execution(
            exchange=order.exchange,
            symbol=order.symbol,
            execution_id=f"{order.order_id}-{number}",
            order_id=order.order_id,
            number=number,
            strategy=order.strategy,
            side=order.side,
            status=status,
            receipt_time=self.now,
            **{**known, **fields},
        )
        refused = self.market.trading.orders.refused
        self.executions.append(msgspec.convert(msgspec.to_builtins(execution), Told, strict=False))
        self._apply(execution)
        if self.market.trading.orders.refused > refused:
            raise ValueError(f"an order that is {one.status} can't become {status}")

    def set_parameters(self, strategy: str, **values: str) -> None:
        """An operator changes parameters of a strategy while it runs; written as in strategies.toml."""
        self._words += 1
        self._apply(
            Steer(
                offset=self._words,
                action="parameters",
                strategy=strategy,
                parameters=values,
                by="trial",
                receipt_time=self.now,
            )
        )

    def state(self, strategy: Strategy, symbol: str = "") -> Any:
        """The State of a strategy on a symbol."""
        symbol = canonical_symbol(symbol) if symbol else self.symbol
        return next(
            run.context.state
            for run in self.market.runs
            if run.strategy is strategy and symbol in run.symbols
        )

    def _must_not_be_paper(self) -> None:
        if self._loop is not None:
            raise ValueError("with paper=True the gate and the paper exchange say what becomes of orders")

    def _tracked(self, order: Sent) -> TrackedOrder:
        one = self.market.trading.orders.get(order.order_id)
        if one is None:
            raise ValueError(f"{order} was not sent in this trial, or by a shadow: nothing becomes of it")
        return one

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
        if self._loop is not None:
            _, outputs = self._loop.apply(event)
        else:
            self.market.apply(event, self._offset)
            outputs = self.market.take_outputs()
        for output in outputs:
            if output.topic == "orders":
                order = msgspec.json.decode(output.value, type=Order)
                self._commands[order.order_id, order.command] = order
                self.sent.append(msgspec.json.decode(output.value, type=Sent))
            elif output.topic == "executions":
                self.executions.append(msgspec.json.decode(output.value, type=Told))
        for run in self.market.runs:
            if run.halted:
                raise TrialError(f"{run.strategy.name}: {run.halted}") from run.error


def _trading(
    books: Sequence[tuple[str, str]], strategies: Sequence[Strategy], texts: dict[str, Any]
) -> dict[str, Any]:
    """Gate, venue and balances for a market, as a worker has them.  Raises SettingsError for texts that can't be."""
    from tradeflow.worker.trading_setup import TradingFiles, TradingSetup  # which imports this package

    setup = TradingSetup(TradingFiles(**texts), {symbol: 0 for _, symbol in books}, books, strategies)
    return {"gate": setup.gate(), "venue": setup.venue, "balances": setup.balances}


def _levels(levels: Levels) -> list[Level]:
    if isinstance(levels, (Decimal, str, int, float)):
        return [(_text(levels), "1")]
    return [(_text(price), _text(size)) for price, size in levels]


def _text(number: Exact) -> str:
    if isinstance(number, bool) or not isinstance(number, (Decimal, str, int)):
        raise TypeError(f"{number!r}: write prices and sizes as str, int or Decimal")
    return canonical_decimal(format(number, "f") if isinstance(number, Decimal) else str(number))
