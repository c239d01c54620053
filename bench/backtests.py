"""How fast a backtest is, next to hftbacktest and NautilusTrader: the same events, the same orders, one core each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from bench import report
from bench.entrants import locked_versions, own_versions
from bench.paper_runs import PLACE, STEPS, Taker, history, run_contestant
from bench.processes import ROOT
from tradeflow.backtest.backtest import Backtest
from tradeflow.market import Market
from tradeflow.market.loop import Loop
from tradeflow.messages import Execution, MarketEvent
from tradeflow.recording import Record
from tradeflow.worker.trading_setup import TradingFiles, TradingSetup

TARGET = ROOT / "docs" / "replay.md"
BEGIN, END = "<!-- backtests -->", "<!-- end of backtests -->"
SIZE = Decimal("0.01")
LATENCY = 0.05


class Run(NamedTuple):
    """One run over all events."""

    seconds: float
    """Of CPU."""
    orders: int
    filled: Decimal | None
    """BTC; None: the same market as another row's."""


class Row(NamedTuple):
    name: str
    runs: list[Run]

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)


class Different(AssertionError):
    """They didn't do the same, so their speeds can't be compared."""


def new_market(seconds: int) -> Market:
    """As `tradeflow backtest` makes it: gate, paper exchange, and nothing that nobody reads."""
    strategy = Taker(size=SIZE, seconds=seconds)
    setup = TradingSetup(TradingFiles(paper_latency=LATENCY), {PLACE[1]: 0}, [PLACE], [strategy])
    return Market(
        0,
        [PLACE],
        [strategy],
        normalized_per_second=1e-9,
        keyframe_interval=2**62,
        gate=setup.gate(),
        venue=setup.venue,
        balances=setup.balances,
    )


def in_memory(events: list[MarketEvent], seconds: int) -> Run:
    """The market alone, on events that are decoded already."""
    loop, orders, filled = Loop(new_market(seconds)), 0, Decimal(0)
    began = time.process_time()
    for event in events:
        log, said = loop.apply(event)
        if said:
            orders += sum(output.topic == "orders" for output in said)
        if len(log) > 1:
            filled += sum((Decimal(one.last_size or 0) for one in log if type(one) is Execution), Decimal(0))
    return Run(time.process_time() - began, orders, filled)


def of_records(events: list[MarketEvent], seconds: int) -> Run:
    """As `tradeflow backtest` does it: records decoded, orders hashed, a curve of the P&L."""
    records = [
        Record("market-events", 0, offset, event.receipt_time // 1_000_000, b"", msgspec.json.encode(event))
        for offset, event in enumerate(events)
    ]
    backtest = Backtest(lambda _: new_market(seconds))
    began = time.process_time()
    backtest.apply(records)
    result = backtest.result([])
    took = time.process_time() - began
    return Run(took, result.orders, None)


def theirs(environment: str, program: str) -> Callable[[list[MarketEvent], int, int], list[Run]]:
    def run(events: list[MarketEvent], seconds: int, repeats: int) -> list[Run]:
        found: list[dict[str, Any]] = run_contestant(
            environment, program, events, seconds, SIZE, repeats=repeats
        )
        return [Run(one["seconds"], one["orders"], Decimal(one["filled"])) for one in found]

    return run


def measure(seconds: int, repeats: int) -> tuple[int, list[Row]]:
    """(events, rows).  Raises Different if one sent other orders, or filled a tenth more or less."""
    events = history(seconds, seed=1)
    own = own_versions("tradeflow")["tradeflow"]
    rows = [
        Row(f"tradeflow {own}, events in memory", [in_memory(events, seconds) for _ in range(repeats)]),
        Row(f"tradeflow {own}, records as in a file", [of_records(events, seconds) for _ in range(repeats)]),
    ]
    for name, environment, package, program in (
        ("NautilusTrader", "nautilus", "nautilus_trader", "nautilus_backtest"),
        ("hftbacktest", "hftbacktest", "hftbacktest", "hftbacktest_speed"),
    ):
        version = locked_versions(environment, package.replace("_", "-"))[package.replace("_", "-")]
        rows.append(Row(f"{name} {version}", theirs(environment, program)(events, seconds, repeats)))
    for row in rows:
        for run in row.runs:
            ours = rows[0].runs[0].filled or Decimal(0)
            if run.orders != seconds - 1 or (run.filled and abs(run.filled - ours) > ours / 10):
                raise Different(f"{row.name}: {run}, tradeflow {rows[0].runs[0]}")
    return len(events), rows


def table(count: int, rows: list[Row]) -> str:
    slowest = rows[1].seconds
    header = ("", "events/s of one core", "as fast as `tradeflow backtest`")
    shown = [(row.name, f"{count / row.seconds:,.0f}", f"{slowest / row.seconds:,.1f} times") for row in rows]
    return report.table(header, shown)


def section(command: str, machine: str, seconds: int, repeats: int) -> str:
    """Of docs/replay.md."""
    count, rows = measure(seconds, repeats)
    got = [(row.name.split()[0], row.runs[0].filled) for row in rows if row.runs[0].filled]
    filled = ", ".join(f"{name} {size:.2f}" for name, size in got)
    return (
        (ROOT / "bench" / "backtests.md")
        .read_text()
        .format(
            command=command,
            machine=machine,
            seconds=seconds,
            repeats=repeats,
            place=" ".join(PLACE),
            steps=STEPS,
            events=count,
            filled=filled,
            table=table(count, rows),
        )
    )


def write(said: str) -> None:
    """Between its marks in the page."""
    before, _, rest = TARGET.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    TARGET.write_text(f"{before}{BEGIN}\n{said}{END}{after}")
