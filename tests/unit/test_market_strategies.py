"""Market: what strategies see, what their orders say, and what halts them."""

from __future__ import annotations

import time

import pytest
from market_log import BOOKS, SECOND, Log, Quoter, T, delta, place, snapshot, trade

from tradeflow.market import Market
from tradeflow.market.budget import FEWEST
from tradeflow.messages import Clock, Heartbeat
from tradeflow.strategies import Strategy, StrategyError, buy


def test_orders_say_what_caused_them():
    log = Log(Market(0, BOOKS, [Quoter()]))
    first, second = log(snapshot())["orders"]
    assert (first.side, first.price, first.size, first.tag) == ("buy", "100", "1", "a")
    assert (second.side, second.price, second.size, second.tif) == ("sell", "101", "0.1", "IOC")
    assert (first.strategy, first.params_hash, first.event_time) == ("quoter", Quoter().params_hash, T)
    cause = first.cause
    assert (cause.kind, cause.exchange, cause.epoch, cause.sequence) == ("book", "binance", 1, 0)
    (order,) = log(trade(4))["orders"]
    assert (order.type, order.price, order.size) == ("MARKET", None, "0.5")
    assert (order.cause.kind, order.cause.sequence) == ("trade", 4)
    (order,) = log(Clock(receipt_time=T + SECOND))["orders"]
    assert (order.cause.kind, order.cause.timer, order.cause.time) == ("timer", "every_second", T + SECOND)
    ids = {first.order_id, second.order_id, order.order_id}
    assert len(ids) == 3 and all(len(order_id) == 32 for order_id in ids)


def test_ids_come_from_the_cause_alone():
    one, two = Log(Market(0, BOOKS, [Quoter()])), Log(Market(3, BOOKS, [Quoter()], depth=5))
    two.offset = 1000
    two(Heartbeat(**place(-1, 0)))
    assert [o.order_id for o in one(snapshot())["orders"]] == [o.order_id for o in two(snapshot())["orders"]]
    other = Log(Market(0, BOOKS, [Quoter(fail_at="1")]))
    assert one(delta(1))["orders"][0].order_id != other(snapshot(), delta(1))["orders"][2].order_id


def new(said):
    return [order for order in said.get("orders", ()) if order.command == "NEW"]


def test_a_strategy_sees_live_books_only():
    log = Log(Market(0, BOOKS, [Quoter()]))
    log(snapshot())
    assert not new(log(delta(2))), "broken"
    assert new(log(snapshot(3)))
    assert not new(log(snapshot(4, bids=[])))
    log(snapshot(5))
    assert log(Clock(receipt_time=T + 6 * SECOND))["top-of-book"][0].state == "stale"
    said = log(Heartbeat(**place(5, 6 * SECOND)))
    assert said["top-of-book"][0].state == "live"
    assert not new(said), "its order would have the id of an earlier one"


def test_one_that_raises_is_halted_alone():
    symbols = [("binance", "BTC-USDT"), ("binance", "ETH-USDT")]
    log = Log(Market(0, symbols, [Quoter(fail_at="50"), Quoter()]))
    orders = log(snapshot(bids=[("50", "1")]))["orders"]
    assert [order.params_hash for order in orders] == [Quoter().params_hash] * 2, "none of a call that raises"
    (halted,) = log.market.counts["halted"]
    assert halted["strategy"] == "quoter" and halted["symbols"] == ("BTC-USDT",)
    assert halted["reason"].startswith("on_book raised ZeroDivisionError: on purpose at ")
    assert "market_log.py:" in halted["reason"]
    assert len(log(snapshot(1))["orders"]) == 2, "the other one only"
    assert len(log(snapshot(symbol="ETH-USDT"))["orders"]) == 4, "both, on another symbol"


def test_yielding_something_else_halts():
    class Chatty(Strategy):
        def on_book(self, book, ctx):
            yield "buy!"

    log = Log(Market(0, BOOKS, [Chatty()]))
    assert "orders" not in log(snapshot())
    assert (
        "'buy!' is not an action: yield buy(…), sell(…) or cancel(…)"
        in log.market.counts["halted"][0]["reason"]
    )


class Pair(Strategy):
    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT")

    def on_book(self, book, ctx):
        other = ctx.books_of("ETH-USDT" if book.symbol == "BTC-USDT" else "BTC-USDT")
        if other["binance"].live:
            yield buy(other["binance"], other["binance"].bid.price, 1, tag=ctx.symbol)


def test_a_run_over_several_symbols():
    log = Log(
        Market(0, [("binance", "BTC-USDT"), ("binance", "ETH-USDT"), ("binance", "SOL-USDT")], [Pair()])
    )
    assert len(log.market.runs) == 1
    assert "orders" not in log(snapshot(), snapshot(symbol="SOL-USDT"))
    (order,) = log(snapshot(symbol="ETH-USDT", bids=[("7", "1")], asks=[("8", "1")]))["orders"]
    assert (order.symbol, order.price, order.tag) == ("BTC-USDT", "100", "ETH-USDT")
    assert not Market(1, [("binance", "SOL-USDT")], [Pair()]).runs, "its symbols are elsewhere"
    with pytest.raises(StrategyError, match="ETH-USDT is not served together with BTC-USDT"):
        Market(0, BOOKS, [Pair()])


class Sleeper(Strategy):
    """Slow on BTC-USDT: what a blocking call in a handler does."""

    seconds: float = 0.0
    slow_calls: int = 1_000

    class State(Strategy.State):
        calls: int = 0

    def on_book(self, book, ctx):
        ctx.state.calls += 1
        if book.symbol == "BTC-USDT" and ctx.state.calls <= self.slow_calls:
            time.sleep(self.seconds)
        yield buy(book, "1", "1")


def halted(log: Log) -> list[str]:
    return [run["reason"] for run in log.market.counts["halted"]]


def test_one_that_makes_books_late_is_halted_alone(caplog):
    symbols = [("binance", "BTC-USDT"), ("binance", "ETH-USDT")]
    log = Log(Market(0, symbols, [Sleeper(seconds=0.02)], strategy_budget=0.01))
    said = log(snapshot(), *(delta(number) for number in range(1, FEWEST + 3)))
    assert len(new(said)) == FEWEST, "the orders of the call that was too slow are sent, no more after it"
    (reason,) = halted(log)
    assert reason.startswith("on_book is too slow: ") and reason.endswith(" ms a call, 10 ms are allowed")
    assert "strategy sleeper is halted for BTC-USDT: on_book is too slow" in caplog.text
    assert len(log(snapshot(symbol="ETH-USDT"))["orders"]) == 1


def test_one_pause_halts_nobody():
    log = Log(Market(0, BOOKS, [Sleeper(seconds=0.2, slow_calls=1)], strategy_budget=0.01))
    log(snapshot(), *(delta(number) for number in range(1, 40)))
    assert not halted(log)


def test_without_a_budget_nothing_is_timed():
    log = Log(Market(0, BOOKS, [Sleeper(seconds=0.02)]))
    log(snapshot(), *(delta(number) for number in range(1, FEWEST + 3)))
    assert not halted(log)
