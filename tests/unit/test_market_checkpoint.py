"""Market: what a checkpoint holds, and how a market goes on after a restart."""

from __future__ import annotations

import msgspec
import pytest
from market_log import BOOKS, SECOND, Log, Quoter, T, delta, new_log, restarted, snapshot, trade

from tradeflow.market import Market
from tradeflow.messages import Clock
from tradeflow.strategies import Strategy


@pytest.fixture
def log():
    return new_log()


# --- books ---


def test_only_what_has_changed_is_written(log):
    log(snapshot(), snapshot(exchange="kraken"), trade(0))
    books = {("order_books", f"{exchange}/BTC-USDT") for exchange, _ in BOOKS}
    market = ("strategy_states", "market")
    assert set(log.market.take_dirty()) == books | {market, ("strategy_states", "trades/binance/BTC-USDT")}
    log(delta(1, exchange="kraken"))
    assert set(log.market.take_dirty()) == {market, ("order_books", "kraken/BTC-USDT")}
    assert set(log.market.take_dirty()) == {market}


def test_a_restored_book_goes_on(log):
    log(snapshot(), delta(1, bids=[("100.5", "3")]))
    log = restarted(log)
    book = log.market.books["binance", "BTC-USDT"]
    assert (book.state, book.sequence, book.book.best_bid, log.market.event_time) == (
        "live",
        1,
        ("100.5", "3"),
        T,
    )
    assert "top-of-book" not in log(delta(2, bids=[("98", "1")])), "the top has not changed"


def test_a_restart_does_not_ask_again_at_once(log):
    log(snapshot(), delta(2, time=1), Clock(receipt_time=T + 6 * SECOND))
    log.checkpoint()
    log(Clock(receipt_time=T + 12 * SECOND))
    assert len(log.market.take_resyncs()) == 3
    log = restarted(log)
    log(Clock(receipt_time=T + 13 * SECOND))
    assert not log.market.take_resyncs()


# --- strategies ---


def test_a_halt_outlives_a_restart_but_not_a_change_of_the_code():
    log = Log(Market(0, BOOKS, [Quoter(fail_at="100")]))
    log(snapshot())
    again = restarted(log)  # no strategies: nothing to halt
    assert not again.market.counts["halted"]
    stored = log.stored

    def restart(read):
        market = Market(0, BOOKS, [Quoter(fail_at="100")])
        market.restore(read)
        return market

    assert restart(lambda table, key: stored.get((table, key))).counts["halted"]
    key = next(key for table, key in stored if key.startswith("strategy/"))
    row = msgspec.json.decode(stored["strategy_states", key])
    stored["strategy_states", key] = msgspec.json.encode(row | {"code": "another"})
    market = restart(lambda table, key: stored.get((table, key)))
    assert not market.counts["halted"]
    assert market.runs[0].context.state.books == 1


def test_a_state_that_no_longer_fits_halts_and_is_kept():
    strategy = Quoter()
    key = ("strategy_states", f"strategy/quoter-{strategy.params_hash}/BTC-USDT")
    stored = {key: msgspec.json.encode({"state": {"books": "many"}, "halted": "", "code": ""})}
    market = Market(0, BOOKS, [strategy])
    market.restore(lambda table, key: stored.get((table, key)))
    (halted,) = market.counts["halted"]
    assert "the checkpointed State doesn't fit Quoter.State: Expected `int`, got `str`" in halted["reason"]
    market.runs[0].dirty = True
    assert market.take_dirty()[key] == stored[key], "for the code to be mended"


def test_a_state_that_can_not_be_written_halts():
    class Hoarder(Strategy):
        class State(msgspec.Struct):
            last: object = None

        def on_book(self, book, ctx):
            ctx.state.last = book

    log = Log(Market(0, BOOKS, [Hoarder()]))
    log(snapshot())
    log.market.take_dirty()
    (halted,) = log.market.counts["halted"]
    assert halted["reason"].startswith("State can't be written as JSON")
