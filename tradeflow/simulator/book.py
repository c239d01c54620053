"""One exchange's book of one instrument, as the synthetic market keeps it; pure."""

from __future__ import annotations

from typing import NamedTuple

from tradeflow.simulator.instruments import Instrument
from tradeflow.simulator.ladder import Change, Ladder
from tradeflow.simulator.truth import History

RESOLUTION = {"binance": 1_000_000, "bitmex": 1_000_000, "coinbase": 1_000, "kraken": 1_000}
"""Nanoseconds: how finely the exchange's times are written."""

KEPT_TRADES = 50
FINEST = 5
"""Decimals of a price, at the most."""


class Trade(NamedTuple):
    """One fill: the taker's side, and what it took at which price."""

    trade_id: int
    side: str
    price: int
    lots: int
    order_type: str
    """Of the taker: market or limit."""
    time: int


class Update(NamedTuple):
    """One version of a book: what changed since the last, and the trades that changed it.

    `first`..`sequence` are its update ids, contiguous from one update of a book to the next."""

    book: MarketBook
    first: int
    sequence: int
    time: int
    bids: list[Change]
    asks: list[Change]
    trades: list[Trade]


class MarketBook:
    """Two ladders, their history, the last trades, and where the price is and wants to be.

    `first_id`: update and trade ids count from here."""

    def __init__(self, instrument: Instrument, history: int, first_id: int) -> None:
        self.instrument = instrument
        self.resolution = RESOLUTION[instrument.exchange]
        self.bids = Ladder(bid=True)
        self.asks = Ladder(bid=False)
        self.history = History(history)
        self.trades: list[Trade] = []
        self.sequence = first_id
        self.trade_id = first_id
        self.time = 0
        self.mid = 0.0
        self.seen = 0.0
        """The market's clock when `mid` was last moved."""
        self.apart = 0.0
        """Fraction of the price by which this book's target stands apart from the fair price."""

    def refine(self) -> None:
        """From now on prices are multiples of a tenth of the tick.  Raises ValueError where that's too fine."""
        i = self.instrument
        if i.price_decimals >= FINEST:
            raise ValueError(f"{i.name} has {i.price_decimals} decimals already")
        self.instrument = i._replace(price_decimals=i.price_decimals + 1)
        for counted in (self.bids, self.asks, self.history):
            counted.refine(10)
        self.trades = [trade._replace(price=trade.price * 10) for trade in self.trades]

    def commit(self, now: int, bids: list[Change], asks: list[Change], trades: list[Trade]) -> Update:
        """Make the changes a version: stamped `now`, or as soon after the last one as can be written."""
        first = self.sequence + 1
        self.sequence += len(bids) + len(asks)
        self.time = max(now - now % self.resolution, self.time + self.resolution)
        stamped = [trade._replace(time=self.time) for trade in trades]
        self.trades = (self.trades + stamped)[-KEPT_TRADES:]
        self.history.record(self.sequence, self.time, bids, asks)
        return Update(self, first, self.sequence, self.time, bids, asks, stamped)
