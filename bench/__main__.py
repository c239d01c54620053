"""`make bench`: everything, or what the options choose.  Each part is written into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from bench import backtests, latency, papers, report
from bench.entrants import ENTRANTS, QUIX, STOCK
from bench.entrants import TRADEFLOW as TRADEFLOW_ENTRANT
from bench.latency import RELAY, TRADEFLOW, Latency
from bench.load import Load
from bench.processes import ROOT, ContestantFailed
from bench.readers import readers
from bench.recovery import DELTAS, recoveries
from bench.throughput import Throughput, WrongResult, measure

PARTS = ("throughput", "latency", "recovery")
TARGET = ROOT / "docs" / "benchmarks.md"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=[*PARTS, "papers", "backtests", "readers"], help="one part of it")
    parser.add_argument("--contestants", default=",".join(ENTRANTS), help="comma separated, of %(default)s")
    parser.add_argument("--deltas", type=int, default=400_000, help="deltas to drain (%(default)s)")
    parser.add_argument("--books", type=int, default=40, help="books they are spread over (%(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs, of which the median counts (%(default)s)"
    )
    parser.add_argument("--rates", default="200,1000", help="records a second for latency (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="at each rate (%(default)s)")
    parser.add_argument("--depth", type=int, default=1_000, help="levels a side, for recovery (%(default)s)")
    parser.add_argument("--many", type=int, default=200, help="books, for recovery (%(default)s)")
    parser.add_argument(
        "--paper-seconds", type=int, default=1_800, help="of one book, for papers (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once; writes nothing")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.deltas, chosen.repeats, chosen.seconds = chosen.deltas // 10, 1, chosen.seconds / 5
    return chosen


def throughput(chosen: argparse.Namespace) -> dict[str, object]:
    """What the report says of it."""
    entrants = [ENTRANTS[name] for name in chosen.contestants.split(",")]
    deltas, books, repeats = chosen.deltas, chosen.books, chosen.repeats
    loads = {share: Load(int(deltas * share), books).make() for share in {1.0, STOCK.share}}
    runs: list[list[Throughput]] = [[] for _ in entrants]
    failures = [""] * len(entrants)
    for number in range(repeats):  # taken in turns: a noisy minute doesn't fall on one contestant alone
        for place, entrant in enumerate(entrants):
            try:
                result = asyncio.run(measure(entrant, loads[entrant.share]))
            except (WrongResult, ContestantFailed, TimeoutError) as error:
                failures[place] = f"**{type(error).__name__}**"
                print(f"{entrant.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            runs[place].append(result)
            print(f"{number + 1}/{repeats} {entrant.name}: {result.microseconds:.1f} µs a delta", flush=True)
    table = report.throughput_table(
        [failures[place] or _median(found) for place, found in enumerate(runs)], entrants
    )
    share = sum(map(len, loads[1.0].tops.values())) / deltas
    values = {"table": table, "books": books, "deltas": deltas, "share": share, "repeats": repeats}
    return values | {"stock": loads[STOCK.share].deltas, "versions": report.versions(entrants)}


def _median(found: list[Throughput]) -> Throughput:
    middle = statistics.median_low(result.cpu for result in found)
    return next(result for result in found if result.cpu == middle)


def latencies(chosen: argparse.Namespace) -> dict[str, object]:
    """What the report says of it."""
    rates = [int(rate) for rate in chosen.rates.split(",")]
    found: list[Latency] = []
    for relayer in (RELAY, TRADEFLOW):
        found += latency.run(relayer, rates, chosen.seconds)
    return {"table": report.latency_table(found), "seconds": chosen.seconds, "books": latency.BOOKS}


def recovery(chosen: argparse.Namespace) -> dict[str, object]:
    """What the report says of it."""
    books, depth, repeats = chosen.many, chosen.depth, chosen.repeats
    found = recoveries([QUIX, TRADEFLOW_ENTRANT], books, depth, repeats)
    values = {"books": books, "depth": depth, "deltas": books * DELTAS, "repeats": repeats}
    return values | {"table": report.recovery_table(found)}


def compare_papers(seconds: int) -> None:
    """For itself alone: nothing in it depends on the machine."""
    said = papers.section('make bench ARGS="--only papers"', seconds, seed=1)
    print(said, flush=True)
    papers.write(said)
    print(f"Written to {papers.TARGET.relative_to(ROOT)}")


def compare_backtests(on: report.Machine, seconds: int, repeats: int) -> None:
    where = f"{on.cores} cores of {on.cpu}; others used {on.busy:.0%} of the CPU just before"
    said = backtests.section('make bench ARGS="--only backtests"', where, seconds, repeats)
    print(said, flush=True)
    backtests.write(said)
    print(f"Written to {backtests.TARGET.relative_to(ROOT)}")


def main() -> None:
    chosen = options()
    if chosen.only == "papers":
        compare_papers(chosen.paper_seconds)
        return
    on = report.machine()
    print(on, flush=True)
    if chosen.only == "backtests":
        compare_backtests(on, 2 * chosen.paper_seconds, chosen.repeats)
        return
    if chosen.only == "readers":  # for itself alone: it compares tradeflow with itself
        readers(int(chosen.rates.split(",")[-1]), chosen.seconds, chosen.repeats)
        return
    arguments = " ".join(sys.argv[1:])
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    whole = not chosen.quick and chosen.contestants == ",".join(ENTRANTS)
    for part, measure_part in zip(PARTS, (throughput, latencies, recovery), strict=True):
        if chosen.only not in (None, part):
            continue
        values = measure_part(chosen)
        print(f"\n{values['table']}\n", flush=True)
        if whole:  # at once, for a later part may fail
            TARGET.write_text(
                report.refreshed(TARGET.read_text(), part, command=command, machine=on, **values)
            )
            print(f"Written to {TARGET.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()
