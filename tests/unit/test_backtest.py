"""A backtest trades as the paper run did on the same log, reckons to the last digit, and is the same every time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tradeflow.backtest import Backtest
from tradeflow.backtest.changes import Change, changed, parse_change
from tradeflow.backtest.command import backtest_command
from tradeflow.backtest.fills import Beside, Filled, Fills, difference
from tradeflow.backtest.result import drawdowns, sharpe
from tradeflow.backtest.run import Job, run_job
from tradeflow.backtest.sweep import combinations, parse_sweep, run_all
from tradeflow.execution import Fees, PaperExchange
from tradeflow.execution.fees import parse_fees
from tradeflow.market import Market
from tradeflow.messages import Clock, Delta, Execution, Snapshot
from tradeflow.recording import Header, Record, RecordingReader, RecordingWriter
from tradeflow.replay.command import replay_command, replay_file
from tradeflow.simulator import paper_log
from tradeflow.strategies import Strategy, StrategyError, buy, sell
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance

SAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sample.rec"
SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND


def job(*changes: Change, sample: float = 1.0) -> Job:
    return Job(SAMPLE, (), changes, None, sample)


# --- the sample ---


def records(file: Path) -> list[Record]:
    with file.open("rb") as data:
        return list(RecordingReader(data))


def test_the_sample_is_what_the_simulated_market_makes_of_its_seed(tmp_path):
    assert paper_log.write(tmp_path / "again.rec", 90) > 5_000
    assert records(tmp_path / "again.rec") == records(SAMPLE), "run `make sample`"
    assert SAMPLE.stat().st_size < 500_000


def test_a_replay_of_the_sample_is_identical():
    replay, settled = replay_file(SAMPLE)
    orders, verdicts = replay.finish(settled)
    assert orders.same and orders.not_compared == 0 and orders.identical > 50
    assert verdicts.same and verdicts.identical > 50
    result = CliRunner().invoke(replay_command, [str(SAMPLE)])
    assert result.exit_code == 0
    assert f"orders: identical, SHA-256 {orders.sha256_recorded}" in result.output
    documented = (SAMPLE.parents[1] / "replay.md").read_text()
    assert "\n".join(result.output.splitlines()[1:]) in documented, "docs/replay.md shows another output"


def test_a_changed_order_ends_a_replay_with_status_1(tmp_path):
    with SAMPLE.open("rb") as data:
        header = RecordingReader(data).header
    with (tmp_path / "changed.rec").open("wb") as file, RecordingWriter(file, header) as writer:
        spoiled = 0
        for record in records(SAMPLE):
            if record.topic == "orders" and not spoiled:
                record = record._replace(value=record.value.replace(b'"price":"', b'"price":"9'))
                spoiled += 1
            writer.write(record)
    assert spoiled
    result = CliRunner().invoke(replay_command, [str(tmp_path / "changed.rec")])
    assert result.exit_code == 1
    assert re.search(r"first difference: \w{32}/NEW: recorded", result.output)


# --- the same, and the same again ---


def test_a_backtest_of_a_paper_run_sends_its_orders():
    """The run had no Kafka in between: nothing differs, not even the fills."""
    recorded = {}
    for record in records(SAMPLE):
        if record.topic == "executions":
            execution = msgspec.json.decode(record.value)
            recorded[execution["execution_id"]] = execution
    result = run_job(job())
    replay, settled = replay_file(SAMPLE)
    assert result.orders_sha256 == replay.finish(settled)[0].sha256_recorded
    assert result.fills == sum(one["last_size"] is not None for one in recorded.values()) > 30
    assert result.submitted == sum(one["status"] == "SUBMITTED" for one in recorded.values())


def test_it_is_identical_to_itself_also_in_other_processes():
    jobs = [job(), job(Change("imbalance", "enter", "0.5")), job(Change("imbalance", "enter", "0.7"))]
    alone = [run_job(one) for one in jobs]
    assert dict(run_all(jobs, 2)) == dict(enumerate(alone))
    assert len({result.orders_sha256 for result in alone}) == 3
    assert alone[0] == run_job(job())


# --- to the last digit ---


class Once(Strategy):
    """Buys at the first book, sells at the fourth."""

    class State(msgspec.Struct):
        books: int = 0

    def on_book(self, book, ctx):
        ctx.state.books += 1
        if ctx.state.books == 1:
            yield buy(book, "101", "2", tif="IOC")
        if ctx.state.books == 4:
            yield sell(book, "110", "1", tif="IOC")


def one_book(fees: str, events) -> Backtest:
    """kraken BTC-USDT, 50 ms away."""

    def venue(books, instruments):
        return PaperExchange(books, fees=parse_fees(fees) if fees else Fees(), instruments=instruments)

    def create(partition):
        balances = {("kraken", "BTC-USDT"): {"USDT": Decimal(1000), "BTC": Decimal(0)}}
        return Market(partition, [("kraken", "BTC-USDT")], [Once()], venue=venue, balances=balances)

    backtest = Backtest(create, 1.0)
    backtest.apply(
        Record("market-events", 0, offset, event.receipt_time // 1_000_000, b"", msgspec.json.encode(event))
        for offset, event in enumerate(events)
    )
    return backtest


def book(sequence, seconds, bid, ask, kind=Delta):
    place = {"exchange": "kraken", "symbol": "BTC-USDT", "epoch": 1, "sequence": sequence}
    return kind(**place, receipt_time=T + round(seconds * SECOND), bids=bid, asks=ask)


FEES = """
[[fee]]
exchange = "kraken"
since = 2020-01-01
maker = "0.001"
taker = "0.002"
"""


def test_profit_and_loss_by_hand():
    events = [
        book(0, 0, [("100", "5")], [("101", "5")], Snapshot),  # buys 2 at 101: 202, fee 0.404
        Clock(receipt_time=T + SECOND),  # mid 100.5: -1 unrealized
        book(1, 2, [("110", "5")], [("101", "0"), ("111", "5")]),  # mid 110.5: 19
        Clock(receipt_time=T + 3 * SECOND),
        book(2, 4, [("109", "1")], []),
        book(3, 5, [("108", "1")], []),  # sells 1 at 110: 9 realized, fee 0.22
        Clock(receipt_time=T + 6 * SECOND),
        book(
            4,
            7,
            [(p, "0") for p in ("110", "109", "108", "100")] + [("90", "1")],
            [("111", "0"), ("91", "5")],
        ),  # mid 90.5
        Clock(receipt_time=T + 8 * SECOND),
    ]
    result = one_book(FEES, events).result([])
    assert not result.halted
    (book_result,) = result.books
    assert (book_result.position, book_result.realized, book_result.unrealized) == ("1", "9", "-10.5")
    assert book_result.fees == {"USDT": "0.624"}
    assert (book_result.pnl, book_result.turnover, book_result.fills) == ("-2.124", "312", 2)
    money = result.currencies["USDT"]
    assert [(time - T) // SECOND for time in result.times] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert money.curve == ["-1.404", "18.596", "18.596", "18.596", "18.596", "17.876", "-2.124", "-2.124"]
    assert (money.pnl, money.max_drawdown) == ("-2.124", "20.72")
    assert (result.orders, result.submitted, result.fill_ratio) == (2, 2, 1.0)
    assert result.ended == {"FILLED": 2, "CANCELED": 0, "EXPIRED": 0, "REJECTED": 0}


def test_without_a_fill_there_is_nothing_to_report():
    result = one_book(
        FEES, [book(0, 0, [("100", "5")], [("105", "5")], Snapshot), Clock(receipt_time=T + SECOND)]
    )
    result = result.result([])
    assert (result.currencies, result.books, result.times, result.fill_ratio) == ({}, [], [], 0.0)
    assert result.ended["EXPIRED"] == 1


def test_drawdowns_count_from_the_highest_and_from_the_start():
    curve = [Decimal(n) for n in ("-2", "5", "3", "9", "4")]
    assert drawdowns(curve) == [Decimal(n) for n in ("2", "0", "2", "0", "5")]


def test_sharpe_by_its_convention():
    # Changes 1, 2, 3: mean 2, sample deviation 1; 365 samples a year of one day each.
    assert sharpe([Decimal(n) for n in (0, 1, 3, 6)], 86_400) == pytest.approx(2 * 365**0.5, abs=1e-6)
    assert sharpe([Decimal(1), Decimal(2)], 60) is None
    assert sharpe([Decimal(n) for n in (1, 2, 3)], 60) is None, "no spread"


# --- parameters ---


def test_ranges_are_exact_and_hold_both_ends():
    assert [c.value for c in parse_sweep("imbalance.enter=0.5:0.9:0.1")] == [
        "0.5",
        "0.6",
        "0.7",
        "0.8",
        "0.9",
    ]
    assert [c.value for c in parse_sweep("levels=1,5, 20")] == ["1", "5", "20"]
    assert parse_change("enter=0.5") == Change("", "enter", "0.5")
    assert len(combinations([parse_sweep("a=1:3:1"), parse_sweep("b=1,2")])) == 6


@pytest.mark.parametrize(
    "text", ["enter", "=1", "enter=0.9:0.5:0.1", "enter=1:2:0", "enter=a:b:c", "enter=0:1:0.00001"]
)
def test_a_sweep_that_means_nothing_is_told(text):
    with pytest.raises(StrategyError):
        parse_sweep(text)


def test_a_change_finds_its_strategy():
    strategies = [Imbalance(), Arbitrage()]
    assert changed(strategies, [Change("", "enter", "0.7")])[0].enter == Decimal("0.7")
    assert changed(strategies, [Change("arbitrage", "min_edge", "0.1")])[1].min_edge == Decimal("0.1")
    for wrong, says in (
        (Change("", "nothing", "1"), "none of imbalance, arbitrage have it"),
        (Change("arbitrage", "enter", "1"), "none of"),
    ):
        with pytest.raises(StrategyError, match=says):
            changed(strategies, [wrong])
    with pytest.raises(StrategyError, match="several of"):
        changed([Imbalance(), Imbalance()], [Change("", "enter", "1")])


# --- the verb ---


def test_table_json_and_page(tmp_path):
    json_file, page = tmp_path / "result.json", tmp_path / "page.html"
    options = [
        "--set",
        "imbalance.enter=0.65",
        "--sample",
        "1",
        "--json-file",
        str(json_file),
        "--html",
        str(page),
    ]
    result = CliRunner().invoke(backtest_command, [str(SAMPLE), *options])
    assert result.exit_code == 0, result.output
    assert "P&L after fees" in result.output and "events/s of one core" in result.output
    said = json.loads(json_file.read_text())
    assert said["strategies"][0]["parameters"]["enter"] == "0.65"
    assert set(said["currencies"]["USDT"]) == {"pnl", "max_drawdown", "sharpe", "turnover", "curve"}
    text = page.read_text()
    assert "Plotly.newPlot" in text and said["orders_sha256"] in text.replace("\n", "")
    without_library = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="', without_library), "nothing is fetched from anywhere"


def test_a_sweep_has_a_row_for_each_combination(tmp_path):
    json_file = tmp_path / "sweep.json"
    options = ["--sweep", "imbalance.enter=0.5:0.6:0.1", "--sweep", "arbitrage.max_size=0.1,0.2"]
    result = CliRunner().invoke(backtest_command, [str(SAMPLE), *options, "--json-file", str(json_file)])
    assert result.exit_code == 0, result.output
    rows = json.loads(json_file.read_text())
    printed = CliRunner().invoke(backtest_command, [str(SAMPLE), *options, "--json"])
    assert printed.exit_code == 0 and json.loads(printed.stdout) == rows
    assert [row["parameters"] for row in rows] == [
        [f"imbalance.enter={enter}", f"arbitrage.max_size={size}"]
        for enter in ("0.5", "0.6")
        for size in ("0.1", "0.2")
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a FILE"),
        ([str(SAMPLE), "--set", "nothing=1"], "none of imbalance, arbitrage have it"),
        ([str(SAMPLE), "--strategies", "nobody"], "'nobody'"),
        ([str(Path(__file__))], "is no recording"),
        ([str(SAMPLE), "--sweep", "enter=1:2:1", "--html", "x.html"], "are for one backtest"),
    ],
)
def test_what_is_wrong_is_told(arguments, says):
    result = CliRunner().invoke(backtest_command, arguments)
    assert result.exit_code in (1, 2)
    assert says in result.output


# --- beside the live run ---


def test_a_backtest_of_what_a_backtest_would_have_written_differs_in_nothing():
    beside = Beside.nothing()
    result = run_job(job(), beside)
    found = difference(beside.live.fills, beside.tested)
    assert found.live == found.tested == found.both == found.same == result.orders > 50
    assert (found.other_price, found.other_size, found.better) == (0, 0, 0)
    assert found.filled_live == found.filled_tested > 50
    shown = CliRunner().invoke(backtest_command, [str(SAMPLE), "--beside-live"])
    assert str(found) in shown.output and "reached the gate after 0.0 ms (median)" in shown.output


def test_a_log_that_takes_time_is_replayed_the_same_and_backtested_with_other_fills(tmp_path):
    file = tmp_path / "late.rec"
    paper_log.write(file, 60, delay=0.1)
    replay, settled = replay_file(file)
    assert all(verdict.same and verdict.identical > 20 for verdict in replay.finish(settled))
    beside = Beside.nothing()
    run_job(job()._replace(file=file), beside)
    found = difference(beside.live.fills, beside.tested)
    assert found.both > 20 and found.same < found.both
    assert set(beside.live.delays) == {100.0}


def test_a_slower_exchange_fills_other_orders():
    beside = Beside.nothing()
    run_job(job()._replace(latency=1.5), beside)
    found = difference(beside.live.fills, beside.tested)
    assert found.same < found.both and found.other_size + found.other_price == found.both - found.same


def test_differences_are_reckoned_order_by_order():
    def fills(*rows):
        made = Fills()
        for order_id, side, *parts in rows:
            made.by_order[order_id] = Filled(side)
            for number, (price, size) in enumerate(parts):
                said = execution_of(order_id, number, price, size)
                made.execution(said)
                made.execution(said)
        return made

    live = fills(
        ("a", "buy", ("100", "1")), ("b", "buy", ("101", "2")), ("c", "sell", ("50", "4")), ("d", "buy")
    )
    here = fills(
        ("a", "buy", ("100", "0.5"), ("100", "0.5")),
        ("b", "buy", ("99.99", "2")),
        ("c", "sell", ("50", "3")),
        ("e", "buy"),
    )
    found = difference(live, here)
    assert (found.live, found.tested, found.both) == (4, 4, 3)
    assert (found.same, found.other_price, found.other_size) == (1, 1, 1)
    assert found.better == Decimal("2.02") / Decimal(202) * 10_000
    assert (found.filled_live, found.filled_tested) == (3, 3)


def execution_of(order_id, number, price, size):
    return Execution(
        exchange="binance",
        symbol="BTC-USDT",
        execution_id=f"{order_id}-{number}",
        order_id=order_id,
        number=number,
        strategy="s",
        side="buy",
        status="PARTIALLY_FILLED",
        last_price=price,
        last_size=size,
        leaves_size="0",
        receipt_time=1,
    )


# --- memory ---


def test_a_long_recording_needs_no_more_memory(tmp_path):
    """700 MB of records, of which a backtest and a replay hold a block at a time."""
    with SAMPLE.open("rb") as data:
        header = RecordingReader(data).header
    with (tmp_path / "long.rec").open("wb") as file, RecordingWriter(file, header) as writer:
        for n in range(700):
            writer.write(Record("normalized-books", 0, n, n, b"BTC-USDT", b"x" * 1024 * 1024))
        for record in records(SAMPLE):
            writer.write(record)
    program = f"""
import resource, sys
from tradeflow.backtest.run import Job, run_job
from tradeflow.replay.command import replay_file
from pathlib import Path
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 2**20,) * 2)
file = Path({str(tmp_path / "long.rec")!r})
assert run_job(Job(file, (), (), None, 1.0)).fills
assert replay_file(file)[0].orders.verdict(lambda _: (0, 2**63)).identical
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_recording_of_frames_is_no_log(tmp_path):
    with (tmp_path / "frames.rec").open("wb") as file:
        RecordingWriter(file, Header(tradeflow="0", holds="frames", created=0)).flush()
    result = CliRunner().invoke(backtest_command, [str(tmp_path / "frames.rec")])
    assert result.exit_code == 1
    assert "holds frames and no market-events" in result.output
