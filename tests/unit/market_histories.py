"""Random logs of market events for the tests of Market, and strategies that make the most of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from tradeflow.market import Market
from tradeflow.messages import (
    Clock,
    Delta,
    Down,
    Heartbeat,
    Instrument,
    Listing,
    MarketEvent,
    Snapshot,
    Trade,
)
from tradeflow.strategies import Strategy, buy, sell, timer
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance

START = 1_700_000_000_000_000_000
BOOKS = [("binance", "BTC-USDT"), ("kraken", "BTC-USDT"), ("binance", "ETH-USDT"), ("kraken", "ETH-USDT")]


class Counting(Strategy):
    """Orders with contents that depend on everything it has seen so far."""

    class State(msgspec.Struct):
        seen: int = 0
        notional: Decimal = Decimal(0)
        last: dict[str, str] = msgspec.field(default_factory=dict)

    def on_book(self, book, ctx):
        ctx.state.seen += 1
        ctx.state.last[book.exchange] = str(book.mid)
        if ctx.state.seen % 3 == 0:
            yield buy(book, book.bid.price, ctx.state.seen, tag=",".join(sorted(ctx.state.last.values())))
            yield sell(book, book.ask.price, ctx.state.seen + ctx.state.notional)

    def on_trade(self, trade, ctx):
        ctx.state.notional += trade.price * trade.size
        if trade.side == "sell":
            live = [
                f"{name}{book.instrument and book.instrument.tick}"
                for name, book in ctx.books.items()
                if book.live
            ]
            yield buy(trade, trade.price, trade.size, tag="+".join(live))

    @timer(seconds=2)
    def slow(self, ctx):
        ctx.state.seen += 1
        for book in ctx.books.values():
            if book.live:
                yield sell(book, book.ask.price, ctx.now // 10**9)

    @timer(seconds=0.75)
    def quick(self, ctx):
        ctx.state.notional += 1


class Nervous(Strategy):
    """Raises at one price: before and after that it must be told apart from the others."""

    class State(msgspec.Struct):
        calls: int = 0

    def on_book(self, book, ctx):
        ctx.state.calls += 1
        yield buy(book, book.bid.price, ctx.state.calls)
        if book.bid.price == Decimal("103"):
            raise RuntimeError(f"call {ctx.state.calls}")


class Both(Strategy):
    """One run over two symbols."""

    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT")

    def on_book(self, book, ctx):
        other = "ETH-USDT" if book.symbol == "BTC-USDT" else "BTC-USDT"
        seen = ctx.books_of(other)[book.exchange]
        if seen.live and seen.bid.price > book.bid.price:
            return [sell(seen, seen.bid.price, book.bid.size, tif="IOC")]
        return None


STRATEGIES = [
    Counting(),
    Nervous(),
    Both(),
    Imbalance(levels=2, enter=Decimal("0.3"), leave=Decimal("0.1")),
    Arbitrage(min_edge=Decimal(0), fees={"binance": Decimal("0.001"), "kraken": Decimal("0.002")}),
]


def market(books=BOOKS, strategies=STRATEGIES, **options: Any) -> Market:
    options = {
        "silence_ns": 3_000_000_000,
        "max_jump": 0.005,
        "normalized_per_second": 2,
        "depth": 3,
        "keyframe_interval": 1_000_000_000,
        "want_changes": True,
    } | options
    return Market(0, books, strategies, **options)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), st.integers(0, 3), st.integers(0, 4)),
        st.tuples(st.just("delta"), st.integers(0, 3), st.integers(0, 59)),
        st.tuples(st.just("delta"), st.integers(0, 3), st.integers(0, 59)),
        st.tuples(st.just("delta"), st.integers(0, 3), st.integers(0, 59)),
        st.tuples(st.just("trade"), st.integers(0, 3), st.integers(0, 11)),
        st.tuples(st.just("heartbeat"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("instrument"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("lost"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("down"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("again"), st.integers(0, 3), st.integers(1, 8)),
        st.tuples(
            st.just("time"),
            st.just(0),
            st.sampled_from([1, 50_000_000, 400_000_000, 2_100_000_000, 6_000_000_000]),
        ),
        st.tuples(st.just("clock"), st.just(0), st.just(0)),
        st.tuples(st.just("clock"), st.just(0), st.just(0)),
    ),
    min_size=8,
    max_size=60,
)


class Feed:
    """Numbers one book's records as a feed does."""

    def __init__(self, exchange: str, symbol: str) -> None:
        self.place = {"exchange": exchange, "symbol": symbol}
        self.epoch, self.sequence, self.trade, self.instrument, self.up = 0, -1, -1, -1, False
        self.written: list[MarketEvent] = []

    def record(self, kind: type, now: int, **fields: Any) -> MarketEvent:
        event = kind(**self.place, epoch=self.epoch, sequence=self.sequence, receipt_time=now, **fields)
        self.written.append(event)
        return event


def history(plan: list[tuple[str, int, int]]) -> tuple[list[MarketEvent], set[int]]:
    """The log of a plan, and which of its places are records written a second time."""
    feeds = [Feed(*book) for book in BOOKS]
    now, epochs, log, repeated = START, 0, [], set()
    for number in range(4):
        plan = [("snapshot", number, 2), *plan]
    for name, index, value in plan:
        feed = feeds[index]
        if name == "time":
            now += value
            continue
        if name == "clock":
            log.append(Clock(receipt_time=now))
            continue
        if name == "again":  # normalize died and writes a stretch again, in order
            repeated.update(range(len(log), len(log) + len(feed.written[-value:])))
            log += feed.written[-value:]
            continue
        now += 1_000_000
        if name == "snapshot":
            epochs += 1
            feed.epoch, feed.sequence, feed.trade, feed.instrument, feed.up = epochs, 0, -1, -1, True
            asks = [(str(101 + i + value), f"{i + 1}") for i in range(3)]
            bids = [] if value == 4 else [(str(100 - i + value), f"{i + 1}") for i in range(3)]
            log.append(feed.record(Snapshot, now, bids=bids, asks=asks, exchange_sequence=value))
        elif not feed.up:
            continue
        elif name == "delta":
            feed.sequence += 1
            price, size = str(96 + value // 5), ["0", "1", "2.5", "0.75", "9"][value % 5]
            bids, asks = ([(price, size)], []) if value // 5 < 6 else ([], [(price, size)])
            log.append(feed.record(Delta, now, bids=bids, asks=asks, exchange_time=now - 5))
        elif name == "trade":
            feed.trade += 1
            trade = Trade(
                **feed.place,
                epoch=feed.epoch,
                sequence=feed.trade,
                receipt_time=now,
                side="buy" if value % 2 else "sell",
                price=str(100 + value),
                size="0.5",
                trade_id=None if value > 9 else str(value % 4),
            )
            feed.written.append(trade)
            log.append(trade)
        elif name == "instrument":
            feed.instrument += 1
            place = {**feed.place, "epoch": feed.epoch, "sequence": feed.instrument, "receipt_time": now}
            listing = Listing(kind="spot", base="B", quote="Q", tick=str(value))
            feed.written.append(Instrument(**place, listing=listing))
            log.append(feed.written[-1])
        elif name == "heartbeat":
            log.append(feed.record(Heartbeat, now))
        elif name == "lost":
            feed.sequence += 1
        elif name == "down":
            log.append(feed.record(Down, now, reason="closed by the exchange"))
            feed.up = False
    return log, repeated


def answers(one: Market) -> tuple[list, list, list]:
    """All that a market has to say after an event."""
    return one.take_outputs(), one.take_resyncs(), one.take_changes()
