"""Market: what it knows of its books' instruments, and what strategies see of that."""

from __future__ import annotations

from decimal import Decimal

import pytest
from market_log import Log, new_log, place, restarted, snapshot

from tradeflow.market import Market
from tradeflow.messages import Instrument, Listing
from tradeflow.strategies import Strategy, Trial, buy
from tradeflow.strategies.views import InstrumentView

SPOT = Listing(kind="spot", base="BTC", quote="USDT", tick="0.01", lot="0.001", min_notional="5")


def instrument(sequence, tick="0.01", epoch=1, **where):
    listing = Listing(kind="spot", base="BTC", quote="USDT", tick=tick, lot="0.001", min_notional="5")
    return Instrument(**place(sequence, 0, epoch=epoch, **where), listing=listing)


@pytest.fixture
def log():
    return new_log()


def ticks(log: Log) -> list[tuple[str, str | None]]:
    return [(one.exchange, one.listing.tick) for one in log.market.instruments]


def test_each_book_has_the_newest_that_its_feed_has_told(log):
    assert not log.market.instruments
    assert not log(instrument(0), instrument(0, exchange="kraken", tick="0.1")), "no output of it"
    assert ticks(log) == [("binance", "0.01"), ("kraken", "0.1")]
    log(instrument(1, tick="0.001"))
    assert ticks(log)[0] == ("binance", "0.001")
    log(instrument(0), instrument(1, tick="9", epoch=0))
    assert ticks(log)[0] == ("binance", "0.001"), "written again, or of an epoch that is over"
    log(instrument(0, epoch=2))
    assert ticks(log)[0] == ("binance", "0.01")
    assert log.market.counts["duplicates"] == 2


def test_it_is_part_of_the_checkpoint_where_it_has_changed(log):
    log(instrument(0))
    key = ("strategy_states", "instruments/binance/BTC-USDT")
    again = restarted(log)
    assert key in log.stored
    assert again.market.instruments == log.market.instruments
    again(snapshot(), instrument(0))
    assert key not in again.market.take_dirty()
    again(instrument(1, tick="0.1"))
    assert key in again.market.take_dirty()


def test_one_of_a_book_that_is_not_served_is_ignored(log):
    log(instrument(0, symbol="DOGE-USDT"))
    assert not log.market.instruments and log.market.counts["ignored"] == 1


class Rounder(Strategy):
    """Buys at the bid, a tick better."""

    def on_book(self, book, ctx):
        if book.instrument is not None:
            yield buy(book, book.bid.price + book.instrument.tick, book.instrument.lot)


def test_strategies_see_it_as_numbers():
    trial = Trial(Rounder())
    trial.book("binance", bid="100", ask="101")
    assert not trial.sent, "its feed hasn't told yet"
    trial.instrument("binance", tick="0.10", lot="0.001")
    trial.book("binance", bid="100", ask="101")
    (order,) = trial.sent
    assert (order.price, order.size) == (Decimal("100.1"), Decimal("0.001"))


def test_a_strategy_that_is_restarted_sees_the_same():
    log = Log(Market(0, [("binance", "BTC-USDT")], [Rounder()]))
    log(instrument(0))
    log.checkpoint()
    again = Log(Market(0, [("binance", "BTC-USDT")], [Rounder()]))
    again.market.restore(lambda table, key: log.stored.get((table, key)))
    assert again(snapshot())["orders"] == log(snapshot())["orders"]


def test_what_is_not_said_is_none():
    listing = Listing(kind="inverse", base="BTC", quote="USD", multiplier="1", settle="BTC")
    assert InstrumentView.of(listing) == ("inverse", "BTC", "USD", None, None, None, Decimal(1), "BTC")
