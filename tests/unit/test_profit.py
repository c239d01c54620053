"""A strategy's profit: of its own fills alone; all of them together are the purse's, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from market_log import BOOKS, SECOND, Log, command, execution, new_log, snapshot

from tables.exact import EXACT
from tables.positions import Position
from tradeflow.market import Market
from tradeflow.market.profit import added, profit
from tradeflow.strategies import Strategy, buy, sell
from tradeflow.worker.trading_setup import TradingFiles, TradingSetup

PLACE = ("binance", "BTC-USDT")


class Buyer(Strategy):
    size: Decimal = Decimal("0.3")

    def on_book(self, book, ctx):
        yield buy(book, book.ask.price, self.size, tif="IOC")


class Seller(Strategy):
    size: Decimal = Decimal("0.7")

    def on_book(self, book, ctx):
        yield sell(book, book.bid.price, self.size, tif="IOC")


STRATEGIES = [Buyer(), Seller()]


def test_fees_and_what_is_open_count_at_the_mid():
    position = Position(base_currency="BTC", quote_currency="USDT")
    position.fill("buy", Decimal(100), Decimal(2), Decimal("0.01"), "BTC")
    position.fill("sell", Decimal(110), Decimal(1), Decimal("0.5"), "USDT")
    log = new_log()
    assert profit({PLACE: position}, log.market.books) == {"USDT": "9.5"}, "no mid: what is open isn't valued"
    log(snapshot(bids=[("119", "1")], asks=[("121", "1")]))
    assert profit({PLACE: position}, log.market.books) == {"USDT": "28.3"}  # 10 + 20 - 0.5 - 0.01 × 120
    assert added([{"USDT": "1.5", "BTC": "0.1"}, {"USDT": "-2"}]) == {"BTC": "0.1", "USDT": "-0.5"}


prices = st.tuples(st.integers(1_000, 1_020), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=30, deadline=None)
@given(st.lists(prices, min_size=1, max_size=15), st.sets(st.integers(0, 14)))
def test_the_strategies_together_earn_what_the_purse_does(plan, restarts):
    log, orders = Log(market()), 0
    for number, (bid, bids, asks) in enumerate(plan):
        time = number * SECOND
        text = [[(str(Decimal(bid + n) / 10), str(Decimal(size) / 10))] for n, size in ((0, bids), (1, asks))]
        waiting = [snapshot(number, time, bids=text[0], asks=text[1])]
        while waiting:
            said = log(waiting.pop(0))
            for order in said.get("orders", []):
                waiting.append(command(order, time, orders))
                orders += 1
            waiting += said.get("market-events", [])
        if number in restarts:
            log.checkpoint()
            stored = log.stored
            log = Log(market())
            log.stored = stored
            log.market.restore(lambda table, key, stored=stored: stored.get((table, key)))
    runs = log.market.runs
    purse = log.market.trading.accounts.position(PLACE)
    own = [run.positions[PLACE] for run in runs if PLACE in run.positions]
    assert sum((one.size for one in own), Decimal(0)) == purse.size
    assert added({k: str(v) for k, v in one.fees.items()} for one in own) == added(
        [{k: str(v) for k, v in purse.fees.items()}]
    )
    mid = log.market.trading.accounts.by_place[PLACE].mid
    total = sum((EXACT.add(one.realized, one.unrealized(mid)) for one in own), Decimal(0))
    assert total == EXACT.add(purse.realized, purse.unrealized(mid))
    books = log.market.books
    assert added(profit(run.positions, books) for run in runs) == profit({PLACE: purse} if own else {}, books)
    assert sum(run.orders for run in runs) == 2 * len(plan), "counted over restarts"


def market():
    setup = TradingSetup(TradingFiles(paper_latency=0.05), {"BTC-USDT": 0}, BOOKS, STRATEGIES)
    return Market(0, BOOKS, STRATEGIES, gate=setup.gate(), venue=setup.venue, balances=setup.balances)


def test_a_fill_that_comes_twice_counts_once():
    log = new_log(Buyer())
    (order,) = log(snapshot())["orders"]
    fill = execution(order, "FILLED", 1, filled="0.3", leaves="0", last_price="101", last_size="0.3")
    log(command(order), fill, fill, msgspec.structs.replace(fill, execution_id="again"))
    (run,) = log.market.runs
    assert run.positions[PLACE].size == Decimal("0.3")
