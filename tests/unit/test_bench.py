"""What the benchmarks judge others by: the load and its reference, and the percentiles."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from bench import backtests, paper_runs, report
from bench.latency import percentile
from bench.load import Load
from bench.processes import ROOT
from bench.recovery import Recovery
from tables.book import Book
from tradeflow.messages import Delta, Snapshot


def test_the_load_is_the_same_every_time() -> None:
    assert Load(500, books=5).make() == Load(500, books=5).make()
    assert Load(500, books=5, seed=8).make() != Load(500, books=5).make()


def test_the_reference_agrees_with_a_book_fed_with_the_records() -> None:
    load = Load(5_000, books=8).make()
    books = {symbol: Book() for symbol in load.levels}
    tops: dict[str, list[tuple[object, ...]]] = {symbol: [] for symbol in load.levels}
    decode = msgspec.json.Decoder(Snapshot | Delta).decode
    for records in (*load.snapshots, *load.records):
        for _, value in records:
            event = decode(value)
            book, seen = books[event.symbol], tops[event.symbol]
            (book.replace if isinstance(event, Snapshot) else book.update)(event.bids, event.asks)
            best = (book.best_bid, book.best_ask)
            if not seen or seen[-1][1:] != best:
                seen.append((event.sequence, *best))
    for symbol, (bids, asks) in load.levels.items():
        assert (books[symbol].bids.sizes, books[symbol].asks.sizes) == (bids, asks)
        assert tops[symbol] == [tuple(top) for top in load.tops[symbol]]
    assert sum(map(len, load.tops.values())) > 1_000


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1, 100), (0.01, 1)])
def test_percentiles_are_values_that_occurred(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


def test_the_papers_send_the_same_orders_whatever_becomes_of_them() -> None:
    """Else what they got couldn't be compared order by order."""
    events = paper_runs.history(20, seed=1)
    assert events == paper_runs.history(20, seed=1) != paper_runs.history(20, seed=2)
    assert all(before.receipt_time <= after.receipt_time for before, after in pairwise(events))
    for strategy in (paper_runs.Taker(size="0.2", seconds=20), paper_runs.Maker(size="0.2", seconds=20)):
        plain = paper_runs.tradeflow(strategy, events)
        assert plain.filled and plain.money.volume == sum(plain.filled.values())
        assert plain == paper_runs.tradeflow(strategy, events)


def test_the_market_alone_and_the_backtest_send_the_same_orders() -> None:
    """Else their speeds couldn't be compared, neither with others'."""
    events = paper_runs.history(20, seed=1)
    market, backtest = backtests.in_memory(events, 20), backtests.of_records(events, 20)
    assert market.orders == backtest.orders == 19
    assert market.filled and market.seconds > 0


def test_rules_of_a_desk_that_changes_none_are_the_paper_exchanges_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = paper_runs.history(60, seed=1)
    maker = paper_runs.Maker(size="0.2", seconds=60)
    plain = paper_runs.tradeflow(maker, events)
    monkeypatch.setattr("tradeflow.execution.paper.Desk", paper_runs.Rules)
    assert paper_runs.tradeflow(maker, events) == plain
    monkeypatch.setattr(paper_runs.Rules, "IN_FULL", True)
    assert paper_runs.tradeflow(maker, events) != plain


def test_a_part_of_the_report_is_made_anew_and_nothing_else_touched() -> None:
    document = (ROOT / "docs" / "benchmarks.md").read_text()
    found = report.recovery_table([Recovery("other", 4.0, 8.0), Recovery("tradeflow", 2.0, 2.0)])
    values = {"command": 'make bench ARGS="…"', "machine": "- a day", "books": 2, "depth": 9, "deltas": 40}
    once = report.refreshed(document, "recovery", table=found, repeats=1, **values)
    for text in ('make bench ARGS="…"', "- a day", "0.50 ×", "0.25 ×"):
        assert text in once
    assert report.refreshed(once, "recovery", table=found, repeats=3, **values) != once
    assert report.refreshed(once, "recovery", table=found, repeats=1, **values) == once
    [others, _] = document.split("<!-- recovery -->")
    assert once.startswith(others)


def test_a_report_without_marks_is_told() -> None:
    with pytest.raises(ValueError, match="no part 'recovery'"):
        report.refreshed("# Benchmarks\n", "recovery")
