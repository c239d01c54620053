"""Trial: what a strategy's own tests are written with."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import Struct

from tradeflow import Strategy, Trial, buy, sell, timer
from tradeflow.strategies import ActionError, TrialError


class Maker(Strategy):
    exchange: str = "binance"
    size: Decimal = Decimal("0.01")

    class State(Struct):
        bought: Decimal = Decimal(0)

    def on_book(self, book, ctx):
        if book.exchange == self.exchange and ctx.state.bought < 2 * self.size:
            ctx.state.bought += self.size
            yield buy(book, book.bid.price, self.size, post_only=True)

    def on_trade(self, trade, ctx):
        if trade.size > 10:
            yield sell(trade, trade.price, self.size, tif="IOC", tag=trade.trade_id or "")

    @timer(seconds=5)
    def requote(self, ctx):
        live = sorted(name for name, book in ctx.books.items() if book.live)
        yield buy(ctx.books[self.exchange], 1, self.size, tag=f"{ctx.now}:{','.join(live)}")


def test_maker():
    trial = Trial(Maker())
    trial.book("binance", bid="100", ask="101")
    assert trial.sent[0].price == Decimal(100)


def test_an_order_as_it_was_sent():
    trial = Trial(Maker(size="0.5"))
    trial.book("binance", bid=[("100", "3"), ("99.5", "1")], ask=[("101", "2")])
    (order,) = trial.sent
    assert (order.exchange, order.symbol, order.side, order.size) == (
        "binance",
        "BTC-USDT",
        "buy",
        Decimal("0.5"),
    )
    assert (order.type, order.tif, order.post_only, order.strategy) == ("LIMIT", "GTC", True, "maker")
    assert order.event_time == trial.now


def test_state_is_the_strategys_own():
    maker = Maker()
    trial = Trial(maker)
    for bid in ("100", "100.5", "100.7"):
        trial.book("binance", bid=bid, ask="101")
    assert len(trial.sent) == 2
    assert trial.state(maker).bought == Decimal("0.02")


def test_deltas_and_trades():
    trial = Trial(Maker())
    trial.book("binance", bid="100", ask="101")
    trial.delta("binance", bid=[("100", 0), ("99", "5")])
    assert trial.sent[1].price == Decimal(99)
    trial.trade("kraken", side="buy", price="100.5", size="3")
    assert len(trial.sent) == 2
    trial.trade("kraken", side="buy", price="100.5", size="30", trade_id="big")
    assert (trial.sent[2].exchange, trial.sent[2].price, trial.sent[2].tag) == (
        "kraken",
        Decimal("100.5"),
        "big",
    )
    trial.trade("kraken", side="buy", price="100.5", size="30", trade_id="big")
    assert len(trial.sent) == 3, "a trade sent again by the exchange"


def test_time_passes_and_silence_shows():
    trial = Trial(Maker(size="1"))
    trial.book("kraken", bid="100", ask="101")
    trial.book("coinbase", bid="100", ask="101")
    start = trial.now
    trial.advance(seconds=11, silent=["coinbase"])
    assert trial.now == start + 11 * 10**9
    assert [order.tag for order in trial.sent] == [
        f"{start + 5 * 10**9}:coinbase,kraken",
        f"{start + 10 * 10**9}:kraken",
    ]


def test_down_until_the_next_book():
    trial = Trial(Maker(), exchanges=["binance"])
    trial.book("binance", bid="100", ask="101")
    trial.down("binance")
    assert trial.market.books["binance", "BTC-USDT"].state == "stale"
    trial.advance(seconds=5)
    assert trial.sent[-1].tag.endswith(":")
    trial.book("binance", bid="100", ask="101")
    assert trial.market.books["binance", "BTC-USDT"].state == "live"


def test_symbols_and_books():
    trial = Trial(Maker(symbols=("ETH-USDT", "BTC-USDT")), exchanges=["binance"])
    trial.book("binance", bid="7", ask="8")
    trial.book("binance", bid="100", ask="101", symbol="btc/usdt")
    assert [order.symbol for order in trial.sent] == ["ETH-USDT", "BTC-USDT"]
    with pytest.raises(
        ValueError, match=r"okx BTC-USDT is not in this trial; its books are \[\('binance', 'BTC-USDT'\)"
    ):
        trial.book("okx", bid="7", ask="8", symbol="BTC-USDT")


def test_a_strategy_that_raises_raises_here():
    class Broken(Strategy):
        def on_book(self, book, ctx):
            yield buy(book, 0.1, 1)

    with pytest.raises(
        TrialError, match=r"broken: on_book raised ActionError: price=0.1: write it exactly"
    ) as caught:
        Trial(Broken()).book("binance", bid="100", ask="101")
    assert isinstance(caught.value.__cause__, ActionError)


def test_floats_are_refused():
    with pytest.raises(TypeError, match=r"100.5: write prices and sizes as str, int or Decimal"):
        Trial(Maker()).book("binance", bid=100.5, ask="101")


def test_views():
    seen = {}

    class Looker(Strategy):
        def on_book(self, book, ctx):
            seen.update(
                bid=book.bid,
                mid=book.mid,
                spread=book.spread,
                top=book.top(1),
                volume=book.volume(2),
                place=(book.exchange, book.symbol, book.state, book.reason, book.epoch, book.sequence),
                text=repr(book),
            )
            try:
                ctx.books["kraken"].bid  # noqa: B018
            except LookupError as error:
                seen["error"] = str(error)
            try:
                ctx.books["kraken"] = book
            except TypeError:
                seen["read_only"] = True

    Trial(Looker()).book("binance", bid=[("100.10", "3"), ("99", "1.5")], ask=[("101", "2")])
    assert seen["bid"] == (Decimal("100.1"), Decimal(3))
    assert (seen["mid"], seen["spread"]) == (Decimal("100.55"), Decimal("0.9"))
    assert seen["top"] == ([(Decimal("100.1"), Decimal(3))], [(Decimal(101), Decimal(2))])
    assert seen["volume"] == (Decimal("4.5"), Decimal(2))
    assert seen["place"] == ("binance", "BTC-USDT", "live", "", 1, 0)
    assert "has no bids: check book.live first (waits for the first snapshot)" in seen["error"]
    assert seen["read_only"]
