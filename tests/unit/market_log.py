"""A market under test: short ways to write its events, and what it said of them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradeflow.market import Market
from tradeflow.messages import (
    Command,
    Delta,
    Execution,
    Keyframe,
    NormalizedBook,
    Order,
    PositionRecord,
    Snapshot,
    TopOfBook,
    Trade,
)
from tradeflow.strategies import Strategy, buy, sell, timer

SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND
BOOKS = [("kraken", "BTC-USDT"), ("binance", "BTC-USDT")]


def place(sequence, time, exchange="binance", epoch=1, symbol="BTC-USDT"):
    return {
        "exchange": exchange,
        "symbol": symbol,
        "epoch": epoch,
        "sequence": sequence,
        "receipt_time": T + time,
    }


def snapshot(sequence=0, time=0, bids=(("100", "1"),), asks=(("101", "2"),), **where):
    fields = {"exchange_time": T - 5, "exchange_sequence": 900 + sequence}
    return Snapshot(**place(sequence, time, **where), bids=list(bids), asks=list(asks), **fields)


def delta(sequence, time=0, bids=(), asks=(), **where):
    return Delta(**place(sequence, time, **where), bids=list(bids), asks=list(asks))


def command(order, time=0, offset=0):
    return Command(order=order, offset=offset, receipt_time=T + time)


def execution(order, status, number=0, time=0, filled="0", leaves=None, **fields):
    return Execution(
        exchange=order.exchange,
        symbol=order.symbol,
        execution_id=f"{order.order_id}-{number}",
        order_id=order.order_id,
        number=number,
        strategy=order.strategy,
        side=order.side,
        status=status,
        filled_size=filled,
        leaves_size=order.size if leaves is None else leaves,
        receipt_time=T + time,
        **fields,
    )


def trade(sequence, time=0, trade_id=None, **where):
    return Trade(**place(sequence, time, **where), side="sell", price="100", size="0.5", trade_id=trade_id)


class Log:
    """Applies events to a market, numbering them."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.offset = 0
        self.stored: dict[tuple[str, str], bytes] = {}

    def checkpoint(self):
        self.stored.update(self.market.take_dirty())

    def __call__(self, *events):
        """What was said: topic → values, in order."""
        said: dict[str, list] = {}
        for event in events:
            self.market.apply(event, self.offset)
            self.offset += 1
        types = {
            "top-of-book": TopOfBook,
            "normalized-books": NormalizedBook,
            "trades": Trade,
            "orders": Order,
            "executions": Execution,
            "market-events": Execution,
            "positions": PositionRecord,
            "keyframes": Keyframe,
        }
        for output in self.market.take_outputs():
            value = msgspec.json.decode(output.value, type=types[output.topic])
            assert output.key == value.symbol.encode()
            said.setdefault(output.topic, []).append(value)
        return said


def new_log(*strategies: Strategy) -> Log:
    return Log(Market(0, BOOKS, strategies, normalized_per_second=10, depth=2))


def restarted(log: Log, *strategies: Strategy) -> Log:
    """After a checkpoint and a restart, with these strategies."""
    log.checkpoint()
    again = new_log(*strategies)
    again.market.restore(lambda table, key: log.stored.get((table, key)))
    return again


class Quoter(Strategy):
    """Orders at each book, trade and second."""

    fail_at: Decimal = Decimal(0)

    class State(msgspec.Struct):
        books: int = 0

    def on_book(self, book, ctx):
        ctx.state.books += 1
        yield buy(book, book.bid.price, ctx.state.books, tag="a")
        if book.bid.price == self.fail_at:
            raise ZeroDivisionError("on purpose")
        yield sell(book, book.ask.price, "0.10", tif="IOC", tag="b")

    def on_trade(self, trade, ctx):
        return [buy(trade, None, trade.size, type="MARKET")]

    @timer(seconds=1)
    def every_second(self, ctx):
        yield sell(ctx.books["binance"], "200", 1)
