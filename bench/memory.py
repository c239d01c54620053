"""What a book costs in memory: a process that holds many, against the same one without."""

from __future__ import annotations

import gc
import subprocess
import sys

import msgspec
import psutil

from bench.goals import Goal, Section
from bench.load import EXCHANGE, Load, symbols
from bench.options import Options
from bench.processes import ROOT
from bench.report import table

GOAL = 350.0
"""KiB for a book of 1,000 levels a side."""


def held(books: int) -> int:
    """Bytes that a Market needs more, once its books have the snapshots that come in, a line each; in this process.

    Made elsewhere: what making them would leave free here would be filled by the books, unseen."""
    from tradeflow.market import Market
    from tradeflow.messages import MarketEvent

    decode = msgspec.json.Decoder(MarketEvent).decode
    market = Market(0, [(EXCHANGE, symbol) for symbol in symbols(books)])
    gc.collect()
    before = psutil.Process().memory_full_info().uss
    for offset, line in enumerate(sys.stdin.buffer):
        market.apply(decode(line), offset)
        market.take_outputs()
    gc.collect()
    return int(psutil.Process().memory_full_info().uss - before)


def kibibytes(books: int, depth: int) -> float:
    """Of each of so many books."""
    snapshots = [value for records in Load(0, books, depth=depth).make().snapshots for _, value in records]
    command = [sys.executable, "-m", "bench.memory", str(books)]
    answer = subprocess.run(command, cwd=ROOT, input=b"\n".join(snapshots), capture_output=True, check=True)
    return int(answer.stdout) / books / 1024


def run(options: Options) -> Section:
    books, rows, goals = options.many[0], [], []
    for depth in dict.fromkeys((100, options.depth)):
        size = kibibytes(books, depth)
        rows.append([f"{depth:,}", f"{size:.0f}", f"{size * 1024 / depth / 2:.0f}"])
        bound = GOAL if depth == 1_000 else None
        goals.append(Goal(f"memory of a book of {depth:,} levels a side", size, "≤", bound, "KiB"))
    header = ["levels a side", "KiB a book", "bytes a level"]
    costs = {"level_bytes": goals[-1].measured * 1024 / options.depth / 2}
    return Section({"table": table(header, rows), "books": books}, goals, costs)


if __name__ == "__main__":
    print(held(int(sys.argv[1])))
