"""The synthetic market by itself: the same events every time, sane books, honest trades, a true history."""

from __future__ import annotations

from collections import Counter

import pytest

from tradeflow.partitions import load_maps
from tradeflow.simulator.instruments import INSTRUMENTS, decimal_text, listed, short_text
from tradeflow.simulator.ladder import Ladder
from tradeflow.simulator.market import Market
from tradeflow.simulator.truth import SEGMENT, History, UnknownVersion
from tradeflow.simulator.view import View

START = 1_700_000_000_000_000_000


def events(market: Market, steps: int, pace: int = 2_000_000) -> list[tuple]:
    """Every update of some steps, without the identity of its book."""
    found = []
    for step in range(1, steps + 1):
        for update in market.step(START + step * pace):
            i = update.book.instrument
            found.append((i.exchange, i.symbol, *update[1:]))
    return found


def test_same_seed_same_events():
    first, second, other = (events(Market(seed=seed, start=START), 3000) for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_wall_clock_only_stamps():
    def contents(pace: int) -> list[tuple]:
        return [
            (e[0], e[1], e[2], e[3], e[5], e[6], [trade[:5] for trade in e[7]])
            for e in events(Market(seed=5, start=START), 2000, pace)
        ]

    assert contents(1) == contents(3_000_000)


@pytest.mark.parametrize("depth", [10, 250, 1000])
def test_books_are_never_crossed_and_keep_their_depth(depth):
    market = Market(seed=3, depth=depth, rate=50, start=START)
    for step in range(6000):
        for update in market.step(START + step):
            assert update.book.bids.best < update.book.asks.best
            assert update.book.bids.prices[0] > 0
    for book in market.books.values():
        # A book that stands apart has lost one side's levels for a while.
        assert max(len(book.bids), len(book.asks)) >= depth * 0.9
        assert min(len(book.bids), len(book.asks)) >= depth * 0.2


@pytest.mark.parametrize("rate", [25, 60])
def test_a_shallow_book_of_a_slow_market_does_not_run_dry(rate):
    """There a book stands apart by more than all its levels, and has few steps to be filled again."""
    market = Market(seed=3, depth=30, rate=rate, start=START)
    sizes = [
        min(len(update.book.bids), len(update.book.asks))
        for step in range(6000)
        for update in market.step(START + step)
    ]
    assert sum(size < 5 for size in sizes) < len(sizes) / 200, Counter(sizes)


def test_ids_are_contiguous_and_times_grow():
    market = Market(seed=1, start=START)
    last = {book: (book.sequence, book.time) for book in market.books.values()}
    for _ in range(5000):
        for update in market.step(START):  # the clock stands still
            sequence, time = last[update.book]
            assert update.first == sequence + 1
            assert update.sequence == sequence + len(update.bids) + len(update.asks)
            assert update.time == time + update.book.resolution
            last[update.book] = update.sequence, update.time


def test_trades_take_what_they_print():
    market = Market(seed=2, start=START)
    checked = 0
    for step in range(20_000):
        updates = market.step(START + step * 2_000_000)
        trades = [trade for update in updates for trade in update.trades]
        changes = {
            (side, change.price): change.before - change.after
            for update in updates
            for side, some in (("buy", update.asks), ("sell", update.bids))
            for change in some
        }
        for trade in trades:
            assert changes[trade.side, trade.price] == trade.lots
            checked += 1
    assert checked > 2000


def test_bitmex_versions_have_one_action_each():
    market = Market(listed(["bitmex"]), seed=2, start=START)
    kinds = Counter()
    for step in range(3000):
        for update in market.step(START + step * 2_000_000):
            (kind,) = {(bool(c.before), bool(c.after)) for c in (*update.bids, *update.asks)}
            kinds[kind] += 1
    assert set(kinds) == {(True, True), (True, False), (False, True)}


def test_a_finer_tick_changes_no_price_and_no_version_that_was():
    market = Market(listed(["kraken"], ["BTC-USD"]), seed=2, start=START)
    (book,) = market.books.values()

    def written(sequence):
        version = book.history.at(sequence=sequence)
        return [
            [(book.instrument.price_text(p), n) for p, n in side] for side in (version.bids, version.asks)
        ]

    versions = []
    for step in range(2000):
        if step == 1000:
            before = [written(sequence) for sequence in versions]
            book.refine()
            assert book.instrument.tick_text == "0.01"
            assert [written(sequence) for sequence in versions] == before
        versions += [update.sequence for update in market.step(START + step * 2_000_000)]
    assert [written(sequence) for sequence in versions[: len(before)]] == before
    finer = [price for price, _ in book.bids.top() if price % 10]
    assert finer and written(book.sequence)[0][0][0] == book.instrument.price_text(book.bids.best)
    with pytest.raises(ValueError, match="BTC/USD has 5 decimals already"):
        for _ in range(9):
            book.refine()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thirty_seconds_hold_an_arbitrage_beyond_both_fees(seed):
    market = Market(seed=seed, start=START)
    by_symbol: dict[str, list] = {}
    for book in market.books.values():
        by_symbol.setdefault(book.instrument.symbol, []).append(book)
    apart = together = 0
    for step in range(15_000):
        market.step(START + step * 2_000_000)
        if step % 50:
            continue
        for books in by_symbol.values():
            quotes = [
                (
                    book.bids.best * book.instrument.tick / 10**book.instrument.price_decimals,
                    book.asks.best * book.instrument.tick / 10**book.instrument.price_decimals,
                    float(book.instrument.taker_fee),
                )
                for book in books
            ]
            profits = [
                bid * (1 - fee) - ask * (1 + other_fee)
                for bid, _, fee in quotes
                for _, ask, other_fee in quotes
            ]
            apart += max(profits) > 0
            together += max(profits) <= 0
    assert 10 < apart < together


def test_lists_what_the_partition_maps_have():
    maps = load_maps()
    for exchange in ("binance", "bitmex", "coinbase", "kraken"):
        simulated = {i.symbol for i in INSTRUMENTS if i.exchange == exchange}
        assert simulated == set(maps.exchanges[exchange])


def test_listed_selects_and_refuses():
    assert [i.name for i in listed(["kraken"], ["BTCUSDT"])] == ["BTC/USDT"]
    with pytest.raises(ValueError, match="no simulator lists symbol DOGE-USDT; there are ADA-USDT"):
        listed([], ["DOGE/USDT"])
    with pytest.raises(ValueError, match="no simulator lists exchange ftx; there are binance"):
        listed(["ftx"])


def test_texts():
    assert decimal_text(5, 4) == "0.0005"
    assert decimal_text(1234500, 4) == "123.4500"
    assert decimal_text(70, 0) == "70"
    assert short_text(1234500, 4) == "123.45"
    assert short_text(70_0000, 4) == "70"
    assert short_text(70, 0) == "70"


def test_history_holds_every_version_until_it_forgets():
    market = Market(listed(["binance"], ["BTC-USDT"]), seed=4, start=START, history=2 * SEGMENT)
    (book,) = market.books.values()
    versions = {}
    for step in range(2500):
        for update in market.step(START + step * 2_000_000):
            versions[update.sequence, update.time] = (book.bids.top(), book.asks.top())
    first_sequence, first_time = book.history.first
    kept = [(key, sides) for key, sides in versions.items() if key[0] >= first_sequence]
    assert len(kept) >= 2 * SEGMENT
    for (sequence, time), sides in kept[::7]:
        version = book.history.at(sequence=sequence)
        assert (version.sequence, version.time, version.bids, version.asks) == (sequence, time, *sides)
        assert book.history.at(time=time) == version
        assert book.history.at(time=time + 999_999) == version  # not later than
    assert book.history.at().sequence == book.sequence
    for unknown in (
        {"sequence": first_sequence - 1},
        {"sequence": book.sequence + 1},
        {"time": first_time - 1},
    ):
        with pytest.raises(UnknownVersion, match=f"it holds sequences {first_sequence}..{book.sequence}"):
            book.history.at(**unknown)


def test_history_refuses_what_does_not_grow():
    history = History()
    history.record(5, 100, [], [])
    with pytest.raises(ValueError, match="version 5 at 200 after 5 at 100"):
        history.record(5, 200, [], [])


def test_view_tells_what_comes_in_and_not_what_falls_out():
    bids, asks = Ladder(bid=True), Ladder(bid=False)
    for price in (10, 9, 8, 7):
        bids.set(price, 1)
    bids.take_changes()
    view = View(bids, asks, 2)

    bids.set(10, 0)
    assert view.apply(bids.take_changes(), []) == ([(10, 0), (8, 1)], [])
    bids.set(11, 5)
    assert view.apply(bids.take_changes(), []) == ([(11, 5)], [])
    bids.set(8, 0)  # fell out before
    bids.set(7, 3)
    assert view.apply(bids.take_changes(), []) == ([], [])
    bids.set(9, 0)
    assert view.apply(bids.take_changes(), []) == ([(9, 0), (7, 3)], [])
