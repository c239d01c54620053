"""One level into a book, then its best bid and ask: microseconds, in one process, no Kafka.

Each case by itself, for a mean hides the worst.  Beside it two books of plain dicts, the second of which does as
little as can be done: the bounds of what is possible in Python."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from bench.goals import Goal, Section
from bench.load import Market, markets
from bench.options import Options
from bench.report import table
from tables.book import Book

DEEP = 5_000
BEST, CHURN = 0.25, 1.5
"""Microseconds: where the touch stays, and where it comes and goes."""
WORST = 2.0
"""The worst case, in multiples of the mean."""

Level = tuple[str, str]
Change = tuple[list[Level], list[Level]]
"""(bids, asks), one of them empty."""


class AnyBook(Protocol):
    @property
    def best_bid(self) -> Any: ...
    @property
    def best_ask(self) -> Any: ...
    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None: ...
    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> Any: ...


class Searched:
    """Dicts by price; the best is looked for each time."""

    def __init__(self) -> None:
        self.bids: dict[float, str] = {}
        self.asks: dict[float, str] = {}

    @property
    def best_bid(self) -> Any:
        return max(self.bids)

    @property
    def best_ask(self) -> Any:
        return min(self.asks)

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.bids = {float(price): size for price, size in bids}
        self.asks = {float(price): size for price, size in asks}

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                if size == "0":
                    side.pop(float(price), None)
                else:
                    side[float(price)] = size


class Remembered(Searched):
    """The best is looked for only when it has gone.  (Floats: no book that may be trusted, but a fast one.)"""

    best_bid: Any = None
    best_ask: Any = None

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        super().replace(bids, asks)
        self.best_bid, self.best_ask = max(self.bids), min(self.asks)

    def update(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        for price, size in bids:
            tick = float(price)
            if size == "0":
                if self.bids.pop(tick, None) and tick == self.best_bid:
                    self.best_bid = max(self.bids)
            else:
                self.bids[tick] = size
                if tick > self.best_bid:
                    self.best_bid = tick
        for price, size in asks:
            tick = float(price)
            if size == "0":
                if self.asks.pop(tick, None) and tick == self.best_ask:
                    self.best_ask = min(self.asks)
            else:
                self.asks[tick] = size
                if tick < self.best_ask:
                    self.best_ask = tick


BOOKS: dict[str, Callable[[], AnyBook]] = {
    "tradeflow": Book,
    "dict, best remembered": Remembered,
    "dict, best searched": Searched,
}


def _market(levels: int) -> Market:
    found, _ = markets(1, 3, levels)
    return found[0]


def _levels(market: Market) -> tuple[list[Level], list[Level]]:
    bids, asks = market.levels()
    return list(bids.items()), list(asks.items())


def mix(levels: int, count: int) -> Iterator[Change]:
    """What the other parts apply: a third at the touch."""
    market = _market(levels)
    for _ in range(count):
        event = market.delta(0)
        yield event.bids, event.asks


def known_price(levels: int, count: int) -> Iterator[Change]:
    """The best case: a level that is there gets another size."""
    bids, asks = _levels(_market(levels))
    for n in range(count):
        yield ([(bids[n % 50][0], f"{n + 1}")], []) if n % 2 else ([], [(asks[n % 50][0], f"{n + 1}")])


def churn(levels: int, count: int) -> Iterator[Change]:
    """Better prices come and go: the best level is another one after each."""
    market = _market(levels)
    bids, asks = _levels(market)
    better = ([(bids[1][0], "0")], [(bids[1][0], "5")], [(bids[0][0], "0")], [(bids[0][0], "7")])
    worse = ([(asks[1][0], "0")], [(asks[1][0], "5")], [(asks[0][0], "0")], [(asks[0][0], "7")])
    found: list[Change] = [(change, []) for change in better] + [([], change) for change in worse]
    return itertools.islice(itertools.cycle(found), count)


def best_goes(levels: int, count: int) -> Iterator[Change]:
    """The best level is deleted, each time: half of the book's, then they come back (which isn't timed)."""
    bids, asks = _levels(_market(levels))
    gone: list[Change] = []
    for bid, ask in list(zip(bids, asks, strict=True))[: levels // 2]:
        gone += [([(bid[0], "0")], []), ([], [(ask[0], "0")])]
    return itertools.islice(gone, count)


def far_end(levels: int, count: int) -> Iterator[Change]:
    """The worst level comes and goes: where a sorted list has the most to move."""
    bids, asks = _levels(_market(levels))
    ends: list[Change] = []
    for bid, ask in zip(bids[-50:], asks[-50:], strict=True):
        ends += [([(bid[0], "0")], []), ([], [(ask[0], "0")]), ([bid], []), ([], [ask])]
    return itertools.islice(itertools.cycle(ends), count)


KNOWN, COMES_AND_GOES = "a known price, another size", "the touch comes and goes"
DELETED = "the best level deleted, each time"
CASES: dict[str, tuple[Callable[[int, int], Iterator[Change]], int]] = {
    KNOWN: (known_price, DEEP),
    COMES_AND_GOES: (churn, DEEP),
    DELETED: (best_goes, DEEP),
    "the worst level comes and goes": (far_end, DEEP),
    "the mix of the other parts": (mix, DEEP),
    "the same, 100 levels": (mix, 100),
}
MEAN = "the mix of the other parts"


def microseconds(make: Callable[[], AnyBook], case: str, count: int, repeats: int) -> float:
    """CPU of one change and a look at both touches; the best of the repeats, for all that disturbs adds."""
    changes, levels = CASES[case]
    todo, found = list(changes(levels, count)), []
    for _ in range(repeats):
        book = make()
        book.replace(*_levels(_market(levels)))
        started = time.process_time()
        for bids, asks in todo:
            book.update(bids, asks)
            book.best_bid  # noqa: B018
            book.best_ask  # noqa: B018
        found.append((time.process_time() - started) / len(todo) * 1e6)
    return min(found)


def run(options: Options) -> Section:
    count = max(2_000, options.deltas // 20)
    few = max(500, count // 20)  # for the one that searches
    found = {
        name: {
            case: microseconds(make, case, few if make is Searched else count, options.repeats + 2)
            for case in CASES
        }
        for name, make in BOOKS.items()
    }
    own = found["tradeflow"]
    rows = [[case, *(f"{found[name][case]:.2f}" for name in BOOKS)] for case in CASES]
    worst = max(own, key=lambda case: own[case])
    return Section(
        {"table": table(["µs", *BOOKS], rows), "deep": DEEP, "worst": worst},
        [
            Goal(f"book: {DELETED}, in multiples of the mean", own[DELETED] / own[MEAN], "≤", WORST),
            Goal(f"book: {worst} (its dearest case), in multiples of the mean", own[worst] / own[MEAN]),
            Goal(f"book: one level + both touches, {KNOWN}", own[KNOWN], "≤", BEST, "µs"),
            Goal(f"book: {COMES_AND_GOES}, {DEEP:,} levels", own[COMES_AND_GOES], "≤", CHURN, "µs"),
        ],
        {"book_us": own[MEAN]},
    )
