"""The synthetic market behind the simulators: seeded, the same events every time; pure.

One fair price a base asset walks at random.  Each book's own price follows it with a lag and, now and then,
one book of an asset stays apart from it for some seconds, by more than two taker fees.  Orders are added,
changed and canceled around each book's price, and trades take from the book exactly what they print.

Everything random is drawn from `seed` in the order of the steps; the market's clock is the number of steps
over `rate`.  So (seed, instruments, rate, depth) determine every event; the wall clock given to `step` is
only stamped on it, and ids begin at the start's millisecond, so that a later run never uses an id again.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from tradeflow.simulator.book import MarketBook, Trade, Update
from tradeflow.simulator.instruments import INSTRUMENTS, Instrument
from tradeflow.simulator.ladder import Change, Ladder

HALF_SPREAD = 0.5e-4
LEVEL_GAP = 0.5e-4
"""Of the price: between the first levels; the gaps grow with the distance from the touch."""


class _Asset:
    """The fair price of a base asset, and which of its books stands apart, until when."""

    def __init__(self, books: list[MarketBook], until: float) -> None:
        self.price = books[0].instrument.price
        self.seen = 0.0
        self.until = until
        self.apart: MarketBook | None = None
        # A book that stands apart is worth more where another exchange has the same symbol.
        symbols = Counter(book.instrument.symbol for book in books)
        self.candidates = [book for book in books if symbols[book.instrument.symbol] > 1] or books


class Market:
    """All books of all exchanges.

    `rate`: steps a second, over all books; `depth`: levels a side, at least 10, kept by adding and canceling
    (up to ten more; fewer for a while on a side that the price has run through)."""

    def __init__(
        self,
        instruments: Sequence[Instrument] = INSTRUMENTS,
        *,
        seed: int = 1,
        rate: float = 500.0,
        depth: int = 250,
        history: int = 60_000,
        start: int | None = None,
    ) -> None:
        """`history`: versions kept of each book; `start`: nanoseconds since the epoch, by default now."""
        if start is None:
            start = time.time_ns()
        if not instruments or depth < 10:
            raise ValueError(f"a market needs instruments and 10 levels a side, not {depth}")
        self.rate = rate
        self.depth = depth
        self.steps = 0
        self._random = random.Random(seed)
        self._books = [MarketBook(instrument, history, start // 1_000_000) for instrument in instruments]
        self.books = {(b.instrument.exchange, b.instrument.symbol): b for b in self._books}
        self._assets = {
            base: _Asset(
                [book for book in self._books if book.instrument.base == base],
                until=self._random.uniform(1.0, 4.0),
            )
            for base in dict.fromkeys(i.base for i in instruments)
        }
        for book in self._books:
            self._open(book, start)

    def step(self, now: int) -> list[Update]:
        """The next event of the market: one book moves.  `now`: nanoseconds since the epoch."""
        self.steps += 1
        clock = self.steps / self.rate
        book = self._random.choice(self._books)
        trades = self._move(book, clock)
        bids, asks = book.bids.take_changes(), book.asks.take_changes()
        if not bids and not asks:
            return []
        if book.instrument.exchange != "bitmex":
            return [book.commit(now, bids, asks, trades)]
        # BitMEX tells deletions, changes and insertions apart: each is a version of its own.
        updates = []
        for kind in ("delete", "update", "insert"):
            some_bids, some_asks = _only(kind, bids), _only(kind, asks)
            if some_bids or some_asks:
                updates.append(book.commit(now, some_bids, some_asks, trades))
                trades = []
        return updates

    # --- prices -------------------------------------------------------------------------------------------

    def _follow(self, book: MarketBook, clock: float) -> None:
        """Let the asset's fair price walk, and the book's own price come nearer to it."""
        draw = self._random
        asset = self._assets[book.instrument.base]
        asset.price *= math.exp(draw.gauss(0.0, 2e-4) * math.sqrt(clock - asset.seen))
        asset.seen = clock
        if clock >= asset.until:
            if asset.apart is None:
                asset.apart = draw.choice(asset.candidates)
                asset.apart.apart = draw.choice((-1.0, 1.0)) * draw.uniform(0.013, 0.018)
                asset.until = clock + draw.uniform(2.0, 4.0)
            else:
                asset.apart.apart = 0.0
                asset.apart = None
                asset.until = clock + 6.0 + draw.expovariate(1 / 10.0)
        target = asset.price * (1.0 + book.apart) * (1.0 + draw.gauss(0.0, 0.3e-4))
        book.mid += (target - book.mid) * (1.0 - math.exp(-(clock - book.seen) / 0.25))
        book.seen = clock

    def _touch(self, book: MarketBook) -> tuple[int, int]:
        """Where the best bid and the best ask belong, in ticks."""
        i = book.instrument
        mid = book.mid * 10**i.price_decimals / i.tick
        half = max(0.5, mid * HALF_SPREAD)
        bid = math.floor(mid - half)
        return bid, max(bid + 1, math.ceil(mid + half))

    def _gap(self, book: MarketBook, rank: float) -> int:
        """Ticks between the touch and the level of a rank: about 9 % of the price at rank 250."""
        i = book.instrument
        bend = 40.0 * max(1.0, self.depth / 250.0)
        ticks = (rank + rank * rank / bend) * book.mid * LEVEL_GAP * 10**i.price_decimals / i.tick
        return int(max(rank, ticks))

    def _lots(self, book: MarketBook) -> int:
        i = book.instrument
        size = i.size * self._random.lognormvariate(0.0, 0.9)
        return max(1, round(size * 10.0**i.size_decimals / i.lot))

    # --- orders -------------------------------------------------------------------------------------------

    def _open(self, book: MarketBook, start: int) -> None:
        book.mid = self._assets[book.instrument.base].price
        bid, ask = self._touch(book)
        for ladder, price, sign in ((book.bids, bid, -1), (book.asks, ask, 1)):
            rank = 0.0
            while len(ladder) < self.depth:
                level = price + sign * self._gap(book, rank)
                if level <= 0:
                    raise ValueError(f"{book.instrument.name} has no room for {self.depth} levels a side")
                ladder.set(level, self._lots(book))
                rank += self._random.uniform(0.6, 1.4)
        book.commit(start, book.bids.take_changes(), book.asks.take_changes(), [])

    def _move(self, book: MarketBook, clock: float) -> list[Trade]:
        draw = self._random
        self._follow(book, clock)
        bid, ask = self._touch(book)
        trades: list[Trade] = []
        if book.asks.best <= bid:
            trades = self._sweep(book, book.asks, "buy", bid)
        elif book.bids.best >= ask:
            trades = self._sweep(book, book.bids, "sell", ask)
        elif draw.random() < 0.15:
            # Nothing but the trade, so that the update shows exactly what it took.
            return self._trade(book, book.bids if draw.random() < 0.5 else book.asks)
        sides = (book.bids, book.asks, bid, -1), (book.asks, book.bids, ask, 1)
        for _ in range(1 + (draw.random() < 0.4) + (draw.random() < 0.3)):
            own, other, price, sign = sides[0] if draw.random() < 0.5 else sides[1]
            kind = draw.random()
            if len(own) < self.depth:
                # Thin: refill anywhere; and always at the touch first, if the touch has run away.
                rank = draw.uniform(0.0, self.depth)
                if (price - own.best) * -sign > self._gap(book, 3.0):
                    rank = 0.0
                self._add(book, own, other, price, sign, rank)
            elif kind < 0.6:
                self._add(book, own, other, price, sign, draw.expovariate(1 / 12.0))
            else:
                own.set(own.price_at(int(draw.expovariate(1 / 12.0))), 0)
            if len(own) > self.depth + 10:
                own.set(own.price_at(len(own)), 0)
        for own, other, price, sign in sides:
            if len(own) < self.depth // 2:  # the price has run through it: whoever quoted there quotes anew
                for _ in range(self.depth // 4):
                    self._add(book, own, other, price, sign, draw.uniform(0.0, self.depth))
        return trades

    def _add(self, book: MarketBook, own: Ladder, other: Ladder, price: int, sign: int, rank: float) -> None:
        """A new order, or another size of the level that is there; never through the other side."""
        price += sign * self._gap(book, rank)
        price = max(1, min(price, other.best - 1)) if own.bid else max(price, other.best + 1)
        own.set(price, self._lots(book))

    def _trade(self, book: MarketBook, ladder: Ladder) -> list[Trade]:
        """A market order of about the best level's size takes from at most three levels, never the last."""
        left = max(1, int(ladder.lots[ladder.best] * self._random.lognormvariate(-1.0, 0.8)))
        fills = []
        for price in ladder.bests(min(3, len(ladder) - 1)):
            taken = min(left, ladder.lots[price])
            fills.append((price, taken))
            ladder.set(price, ladder.lots[price] - taken)
            left -= taken
            if not left:
                break
        return self._fills(book, "sell" if ladder.bid else "buy", "market", fills)

    def _sweep(self, book: MarketBook, ladder: Ladder, side: str, limit: int) -> list[Trade]:
        """The price has moved through these quotes: a few are taken by a limit order, many are withdrawn."""
        prices = ladder.reach(limit)[: len(ladder) - 1]
        taken = len(prices) <= 4 and self._random.random() < 0.6
        fills = [(price, ladder.lots[price]) for price in prices]
        for price in prices:
            ladder.set(price, 0)
        return self._fills(book, side, "limit", fills) if taken else []

    def _fills(
        self, book: MarketBook, side: str, order_type: str, fills: Iterable[tuple[int, int]]
    ) -> list[Trade]:
        trades = []
        for price, lots in fills:
            book.trade_id += 1
            trades.append(Trade(book.trade_id, side, price, lots, order_type, 0))
        return trades


def _only(kind: str, changes: list[Change]) -> list[Change]:
    if kind == "delete":
        return [change for change in changes if not change.after]
    if kind == "update":
        return [change for change in changes if change.before and change.after]
    return [change for change in changes if not change.before]
