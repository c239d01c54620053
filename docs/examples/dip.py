"""Buy the dip: once, when the mid has fallen far enough from the highest one of the last minute."""

from decimal import Decimal

from tradeflow import Strategy, Struct, Trial, buy, timer


class Dip(Strategy):
    exchange: str = "binance"  # parameters: typed, frozen
    fall: Decimal = Decimal("0.002")
    size: Decimal = Decimal("0.01")

    class State(Struct):  # one for each symbol, part of every checkpoint
        high: Decimal = Decimal(0)
        bought: bool = False

    def on_book(self, book, ctx):  # after each event that leaves a book live
        if book.exchange != self.exchange:
            return
        state = ctx.state
        state.high = max(state.high, book.mid)
        if not state.bought and book.mid <= state.high * (1 - self.fall):
            state.bought = True
            yield buy(book, book.ask.price, self.size, tif="IOC", tag="dip")

    @timer(seconds=60)  # of event time
    def forget(self, ctx):
        ctx.state.high, ctx.state.bought = Decimal(0), False


def test_dip():  # no Kafka, a virtual clock
    trial = Trial(Dip())
    trial.book("binance", bid="99", ask="101")
    trial.book("kraken", bid="90", ask="91")
    assert not trial.sent
    trial.book("binance", bid="98.5", ask="100.5")
    trial.book("binance", bid="98", ask="100")
    assert [(order.side, order.price) for order in trial.sent] == [("buy", Decimal("100.5"))]
    trial.advance(seconds=60)
    trial.book("binance", bid="99", ask="101")
    trial.book("binance", bid="98", ask="100")
    assert len(trial.sent) == 2
