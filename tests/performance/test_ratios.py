"""Gross regressions of what runs for each record: each bound is a ratio to something plain, in one process.

CPU time, the best of several rounds, both sides in turns: so that a busy machine changes little.  The bounds are about
twice what was measured; they tell a lost fast path, not a few percent, which `make bench` does."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bench.book import Remembered, churn, far_end, mix
from bench.load import EXCHANGE, Load
from bench.pipeline import RawLoad
from tables.book import Book
from tables.order_books import OrderBook
from tradeflow.market import Market
from tradeflow.messages import Delta, MarketEvent, Raw, Snapshot
from tradeflow.normalize import normalize
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.worker.runs import RunSchema

pytestmark = pytest.mark.performance

ROUNDS = 7
LEVELS = 1_000


def cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def ratio(work: Callable[[], object], plain: Callable[[], object]) -> float:
    """CPU of `work` in multiples of `plain`'s; the least of each, taken in turns."""
    gc.collect()
    gc.disable()
    try:
        pairs = [(cpu(work), cpu(plain)) for _ in range(ROUNDS)]
    finally:
        gc.enable()
    return min(one for one, _ in pairs) / min(other for _, other in pairs)


def applying(book: Any, changes: list[Any]) -> Callable[[], None]:
    def work() -> None:
        for bids, asks in changes:
            book.update(bids, asks)
            book.best_bid, book.best_ask  # noqa: B018

    return work


def books(levels: int) -> tuple[Book, Remembered]:
    [[(_, value)], *_] = Load(0, 1, depth=levels).make().snapshots
    snapshot = msgspec.json.decode(value, type=Snapshot)
    found = Book(), Remembered()
    for book in found:
        book.replace(snapshot.bids, snapshot.asks)
    return found


def test_a_delta_costs_a_book_little_more_than_two_dicts() -> None:
    own, plain = books(100)
    changes = list(mix(100, 5_000))
    assert ratio(applying(own, changes), applying(plain, changes)) < 3


def test_no_change_of_a_deep_book_is_dear() -> None:
    """A book that searches or sorts would cost a hundred times as much where the touch comes and goes."""
    usual, _ = books(100)
    deep, _ = books(5_000)
    known = [([(price, str(n))], []) for n, price in enumerate(usual.bids.prices[-50:] * 100)]
    for changes in (churn(5_000, 5_000), far_end(5_000, 5_000)):
        assert ratio(applying(deep, list(changes)), applying(usual, known)) < 12


@pytest.fixture(scope="module")
def load() -> Load:
    return Load(5_000, 8, depth=LEVELS).make()


@pytest.fixture(scope="module")
def records(load: Load) -> list[bytes]:
    return [value for partition in load.records for _, value in partition]


class _Message:
    topic, partition, offset = "market-events", 0, 0

    def __init__(self, values: list[bytes]) -> None:
        self.value = [_Record(value) for value in values]


class _Record:
    def __init__(self, value: bytes) -> None:
        self.value = value


def test_a_run_is_decoded_faster_than_json_reads_it(records: list[bytes]) -> None:
    schema = RunSchema(MarketEvent)
    message: Any = _Message(records[:500])

    def decode() -> None:
        run = schema.loads_value(None, message)
        assert len(run.messages) == 500 and not run.unusable

    assert ratio(decode, lambda: [json.loads(value) for value in records[:500]]) < 0.4


def decoded(values: list[bytes]) -> list[Any]:
    decode = msgspec.json.Decoder(MarketEvent).decode
    return [decode(value) for value in values]


def market_of(load: Load, strategies: tuple[Any, ...] = ()) -> Market:
    market = Market(0, [(EXCHANGE, symbol) for symbol in load.levels], strategies)
    for offset, event in enumerate(decoded([value for found in load.snapshots for _, value in found])):
        market.apply(event, offset)
    return market


def plain_apply(load: Load, events: list[Delta]) -> Callable[[], None]:
    """The in-process baseline: dicts and the newest top of each book, encoded where it has changed."""

    def work() -> None:
        found = {symbol: books_of[symbol] for symbol in load.levels}
        encode = msgspec.json.Encoder().encode
        tops: dict[str, Any] = {}
        for event in events:
            book = found[event.symbol]
            book.update(event.bids, event.asks)
            top = book.best_bid, book.best_ask
            if tops.get(event.symbol) != top:
                tops[event.symbol] = top
                encode((event.symbol, event.sequence, top))

    books_of = {}
    for event in decoded([value for found in load.snapshots for _, value in found]):
        books_of[event.symbol] = Remembered()
        books_of[event.symbol].replace(event.bids, event.asks)
    return work


@pytest.mark.parametrize(("strategies", "bound"), [((), 4), ((Imbalance(), Arbitrage()), 12)])
def test_a_market_costs_few_times_what_plain_dicts_do(
    load: Load, records: list[bytes], strategies: tuple[Any, ...], bound: float
) -> None:
    """Gap checks, provenance, states, outputs, and with strategies their handlers and orders."""
    events = decoded(records)

    def work() -> None:
        for offset, event in enumerate(events, 100):
            market.apply(event, offset)
        market.take_outputs()

    found = []
    for _ in range(ROUNDS):  # a fresh one each time: what it has seen it would skip
        market = market_of(load, strategies)
        found.append(cpu(work))
        assert sum(market.counts["deltas"].values()) == len(events)
    plain = min(cpu(plain_apply(load, events)) for _ in range(ROUNDS))
    assert min(found) / plain < bound


def test_normalizing_costs_less_than_json_does() -> None:
    made = RawLoad(2_000, 8).make()
    values = [value for parts in made.records.values() for found in parts for _, value in found]
    decode = msgspec.json.Decoder(Raw).decode
    raws = [decode(value) for value in values]
    assert (
        ratio(lambda: [normalize(one) for one in raws], lambda: [json.loads(value) for value in values]) < 1.2
    )


def test_what_a_book_costs_does_not_depend_on_its_neighbors() -> None:
    """A loop over all books for each record would show."""
    few, many = (Load(4_000, count, depth=20).make() for count in (4, 400))

    def microseconds(load: Load) -> float:
        found = []
        events = decoded([value for partition in load.records for _, value in partition])
        for _ in range(ROUNDS):
            market = market_of(load)
            gc.collect()

            def work(market: Market = market) -> None:
                for offset, event in enumerate(events, 1_000):
                    market.apply(event, offset)

            found.append(cpu(work))
        return min(found)

    assert microseconds(many) / microseconds(few) < 3


def test_a_checkpoint_costs_little_more_than_its_json() -> None:
    """Of a book; and reading it back."""
    own = OrderBook(EXCHANGE, "S0000-USDT")
    [[(_, value)], *_] = Load(0, 1, depth=LEVELS).make().snapshots
    own.snapshot(msgspec.json.decode(value, type=Snapshot), 1)
    plain = {"bids": own.book.bids.sizes, "asks": own.book.asks.sizes}
    assert ratio(own.encode, lambda: json.dumps(plain)) < 2
    text = json.dumps(plain)
    encoded = own.encode()
    assert ratio(lambda: OrderBook.decode(encoded), lambda: json.loads(text)) < 12
