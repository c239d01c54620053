"""The load: snapshots and single-level deltas of many books, made from a seed, and what must come out of it.

The reference is kept here in plain Python (dicts of integer ticks, `max` and `min`), apart from all code that
is measured.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tradeflow.messages import Delta, Level, RawBook, Snapshot

EXCHANGE = "binance"
PARTITIONS = 4
RATE = 5_000
"""Deltas a second of event time: what anything that publishes by time sees."""

_START = 2_000_000_000_000_000_000  # later than any clock, so that only the deltas move event time
_LEVELS = 100  # a side in the snapshots by default; the mix below keeps a book near that
_FEWEST = 40  # levels a side, below which nothing is removed
_REACH = 60  # ticks from the touch, in the mean; shallower books have less of both


class Top(NamedTuple):
    """A record of `top-of-book`, as far as all contestants agree on it."""

    sequence: int
    bid: Level
    ask: Level


def symbols(count: int) -> list[str]:
    return [f"S{number:04d}-USDT" for number in range(count)]


def partition_of(symbol: str) -> int:
    return int(symbol[1:5]) % PARTITIONS


class Market:
    """One book in ticks, moving at random: a third of its deltas at the touch, the rest deeper."""

    def __init__(
        self,
        symbol: str,
        number: int,
        random_: random.Random,
        levels: int = _LEVELS,
        exchange: str = EXCHANGE,
    ) -> None:
        self.symbol = symbol
        self.exchange = exchange
        self.partition = partition_of(symbol)
        self.sequence = -1
        self.tops: list[Top] = []
        self._random = random_
        self._decimals = 1 + number % 4
        self._fewest = min(_FEWEST, levels * _FEWEST // _LEVELS)
        self._reach = min(_REACH, levels * _REACH // _LEVELS)
        middle = 50_000 + 3_000 * (number % 17)
        self._bids = {middle - 1 - 2 * n: self._lots() for n in range(levels)}
        self._asks = {middle + 1 + 2 * n: self._lots() for n in range(levels)}
        self._bid, self._ask = max(self._bids), min(self._asks)
        self._top: tuple[int, ...] = ()

    def snapshot(self, time: int) -> Snapshot:
        bids, asks = self.levels()
        return Snapshot(
            exchange=self.exchange,
            symbol=self.symbol,
            epoch=1,
            sequence=self._next(),
            receipt_time=time,
            exchange_time=time - 1_000_000,
            bids=list(bids.items()),
            asks=list(asks.items()),
        )

    def delta(self, time: int) -> Delta:
        is_bid = self._random.random() < 0.5
        tick, lots = self._change(is_bid)
        side = self._bids if is_bid else self._asks
        if lots:
            side[tick] = lots
        else:
            del side[tick]
        if is_bid:
            self._bid = max(self._bids) if tick == self._bid else max(tick, self._bid)
        else:
            self._ask = min(self._asks) if tick == self._ask else min(tick, self._ask)
        change = [(self._price(tick), self._size(lots))]
        return Delta(
            exchange=self.exchange,
            symbol=self.symbol,
            epoch=1,
            sequence=self._next(),
            receipt_time=time,
            exchange_time=time - 1_000_000,
            bids=change if is_bid else [],
            asks=[] if is_bid else change,
        )

    def levels(self) -> tuple[dict[str, str], dict[str, str]]:
        """(bids, asks), price → size."""
        sides = sorted(self._bids.items(), reverse=True), sorted(self._asks.items())
        bids, asks = ({self._price(tick): self._size(lots) for tick, lots in side} for side in sides)
        return bids, asks

    def _change(self, is_bid: bool) -> tuple[int, int]:
        """(tick, new lots): 0 lots removes a level that is there."""
        side, best, inward = (self._bids, self._bid, 1) if is_bid else (self._asks, self._ask, -1)
        kind = self._random.random()
        if kind < 0.15:
            return best, self._lots()
        if kind < 0.25:
            return best, 0 if len(side) > self._fewest else self._lots()
        if kind < 0.35 and self._ask - self._bid > 1:
            return best + inward, self._lots()
        tick = best - inward * (1 + int(self._random.expovariate(1 / self._reach)))
        there = tick in side and len(side) > self._fewest
        return tick, 0 if there and self._random.random() < 0.5 else self._lots()

    def _next(self) -> int:
        self.sequence += 1
        bid, ask = self._bid, self._ask
        top = (bid, self._bids[bid], ask, self._asks[ask])
        if top != self._top:
            self._top = top
            best = [(self._price(tick), self._size(lots)) for tick, lots in (top[:2], top[2:])]
            self.tops.append(Top(self.sequence, *best))
        return self.sequence

    def _lots(self) -> int:
        return 1 + int(self._random.expovariate(1 / 5_000))

    def _price(self, tick: int) -> str:
        return _text(tick, self._decimals)

    def _size(self, lots: int) -> str:
        return _text(lots, 3)


def _text(value: int, decimals: int) -> str:
    """A canonical decimal: no trailing zeros after the point."""
    whole, fraction = divmod(value, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}".rstrip("0").rstrip(".")


def events(
    markets: list[Market], random_: random.Random, time: Callable[[int], int]
) -> Iterator[Snapshot | Delta]:
    """All snapshots, then deltas without end; `time(n)` is the n-th event's receipt time."""
    for n, market in enumerate(markets):
        yield market.snapshot(time(n))
    for n in itertools.count(len(markets)):
        yield random_.choice(markets).delta(time(n))


def markets(books: int, seed: int, levels: int = _LEVELS) -> tuple[list[Market], random.Random]:
    random_ = random.Random(seed)
    return [Market(symbol, number, random_, levels) for number, symbol in enumerate(symbols(books))], random_


def raw(event: Snapshot | Delta, receipt_time: int) -> RawBook:
    """The raw record that becomes this event, received at another time."""
    return RawBook(
        exchange=event.exchange,
        symbol=event.symbol,
        epoch=event.epoch,
        sequence=event.sequence,
        receipt_time=receipt_time,
        snapshot=isinstance(event, Snapshot),
        bids=event.bids,
        asks=event.asks,
        exchange_time=receipt_time / 1e9,
    )


@dataclass
class Load:
    """`books` snapshots and `deltas` deltas as records of `market-events`, and what must come of them."""

    deltas: int
    books: int = 40
    seed: int = 7
    depth: int = _LEVELS
    """Levels a side of the snapshots."""
    snapshots: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    """By partition: (key, value), one of each book."""
    records: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    """By partition: (key, value), the deltas that follow."""
    tops: dict[str, list[Top]] = field(default_factory=dict)
    """By symbol: every change of its best bid or ask, price or size."""
    levels: dict[str, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    """By symbol: the final (bids, asks)."""

    def make(self) -> Load:
        encode = msgspec.json.Encoder().encode
        found, random_ = markets(self.books, self.seed, self.depth)
        made = events(found, random_, lambda n: _START + n * 1_000_000_000 // RATE)
        self.snapshots = [[] for _ in range(PARTITIONS)]
        self.records = [[] for _ in range(PARTITIONS)]
        for event in itertools.islice(made, self.books + self.deltas):
            found_in = self.snapshots if isinstance(event, Snapshot) else self.records
            found_in[partition_of(event.symbol)].append((event.symbol.encode(), encode(event)))
        self.tops = {market.symbol: market.tops for market in found}
        self.levels = {market.symbol: market.levels() for market in found}
        return self
