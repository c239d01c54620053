"""What the benchmarks judge others by: the load and its reference, and the percentiles."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bench import backtests, book, paper_runs, pipeline, recovery, report, scaling
from bench.__main__ import PARTS
from bench.goals import Goal, Section, costs, keep, rows
from bench.latency import histogram, milliseconds
from bench.load import Load
from bench.options import parse
from bench.processes import ROOT
from bench.recovery import Recovery
from bench.skew import skew
from tables.book import Book
from tradeflow.market import Market
from tradeflow.messages import Delta, Raw, Snapshot
from tradeflow.normalize import normalize


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


def test_a_histogram_is_exact_to_three_digits() -> None:
    made = histogram(range(1_000, 10_001_000, 1_000))  # 1 µs … 10 ms
    assert milliseconds(made, 50) == pytest.approx(5, rel=1e-3)
    assert milliseconds(made, 99) == pytest.approx(9.9, rel=1e-3)
    assert milliseconds(made, 100) == pytest.approx(10, rel=1e-3)
    assert milliseconds(histogram([0, 60_000_000_000]), 100) == pytest.approx(60_000, rel=1e-3)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("fast", 2.0, "≥", 2.0), True),
        (Goal("fast", 1.9, "≥", 2.0), False),
        (Goal("small", 2.0, "≤", 2.0), True),
        (Goal("small", 2.1, "≤", 2.0), False),
        (Goal("told", 2.1), None),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, met: bool | None) -> None:
    assert goal.met is met
    assert goal.row("x")[3] == {True: "met", False: "**not met**", None: ""}[met]


def test_the_table_of_goals_is_made_of_what_was_kept(tmp_path: Path) -> None:
    kept = tmp_path / "benchmarks.json"
    keep("book", Section({}, [Goal("a", 3.0, "≤", 2.0)], {"book_us": 1.5}), "make bench", "- a day", kept)
    keep("memory", Section({}, [Goal("b", 3.0)], {"level_bytes": 180.0}), "make bench", "- a day", kept)
    keep("book", Section({}, [Goal("a", 1.25, "≤", 2.0)], {"book_us": 1.0}), "make bench", "- later", kept)
    assert rows(["memory", "book", "latency"], kept) == [
        ["b", "", "3.00 ×", "", "`--only memory`"],
        ["a", "≤ 2.00 ×", "1.25 ×", "met", "`--only book`"],
    ]
    assert costs(kept) == {"book_us": 1.0, "level_bytes": 180.0}


def test_every_part_has_its_place_in_the_page_and_its_text() -> None:
    page, template = (ROOT / "docs" / "benchmarks.md").read_text(), report.TEMPLATE.read_text()
    for part in ("goals", *PARTS):
        for text in (page, template):
            assert f"<!-- {part} -->\n" in text and f"<!-- /{part} -->\n" in text


def test_a_tenth_of_everything_is_less_of_each() -> None:
    whole, quick = parse(list(PARTS), ["tradeflow"], []), parse(list(PARTS), ["tradeflow"], ["--quick"])
    assert quick.deltas < whole.deltas and quick.frames < whole.frames and quick.repeats == 1
    assert sum(quick.many) < sum(whole.many) and quick.rates == whole.rates == [200, 1000, 5000]


def test_the_load_of_the_pipeline_is_what_its_reference_says() -> None:
    """Raw records through normalize and a Market: the final books, in order, with no gap."""
    load = pipeline.RawLoad(2_000, 8).make()
    market = Market(0, list(load.levels))
    decode = msgspec.json.Decoder(Raw).decode
    for records in (load.snapshots, load.records):
        values = [value for parts in records.values() for found in parts for _, value in found]
        for offset, value in enumerate(values):
            market.apply(normalize(decode(value)), offset)
    assert market.counts["gaps"] == 0 and sum(market.counts["deltas"].values()) == 2_000
    for place, levels in load.levels.items():
        book = market.books[place].book
        assert (book.bids.sizes, book.asks.sizes) == levels


@pytest.mark.parametrize("case", book.CASES)
def test_all_books_that_are_compared_agree(case: str) -> None:
    changes, _ = book.CASES[case]
    books = [make() for make in book.BOOKS.values()]
    [snapshot] = Load(0, 1, seed=3, depth=300).make().snapshots[0]
    event = msgspec.json.decode(snapshot[1], type=Snapshot)
    for one in books:
        one.replace(event.bids, event.asks)
    for bids, asks in changes(300, 400):
        tops = set()
        for one in books:
            one.update(bids, asks)
            best = one.best_bid, one.best_ask
            tops.add(tuple(float(side[0] if isinstance(side, tuple) else side) for side in best))
        assert len(tops) == 1


def test_the_model_grows_with_its_market() -> None:
    size = scaling.sizes()
    assert 100 < size.event < size.raw < 500
    small, large = (
        scaling.demand(scaling.Whole(deltas=deltas), 20.0, 30.0, 180.0, size) for deltas in (1e5, 1e6)
    )
    assert large.workers == 50 and small.workers == 5, "30 µs at 60 %"
    assert large.written == pytest.approx(10 * small.written) and large.disk == pytest.approx(10 * small.disk)
    assert large.memory == small.memory == pytest.approx(40 * 1_000 * 2_000 * 180 / 1e9)
    assert large.busiest == pytest.approx(133_592, rel=1e-4), "1 / (1 + 1/2 + … + 1/1000) of a million"
    assert large.limit == pytest.approx(33_333, rel=1e-4)


def test_skew_is_never_below_what_one_symbol_alone_makes() -> None:
    one = skew(200, 1.5, workers=4, partitions=4)
    assert 1 < one.least <= one.balanced <= one.dealt * 1.01
    assert skew(200, 0.0, workers=4, partitions=4).dealt == pytest.approx(1)


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
    found = recovery.recovery_table([Recovery("other", 2, 4.0, 8.0), Recovery("tradeflow", 2, 2.0, 2.0)])
    values = {"command": 'make bench ARGS="…"', "machine": "- a day", "depth": 9, "deltas": 40}
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
