"""`make bench`: everything, or what the options choose.  A whole run writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from bench import latency, papers, report
from bench.entrants import ENTRANTS, QUIX, STOCK, Entrant
from bench.entrants import TRADEFLOW as TRADEFLOW_ENTRANT
from bench.latency import RELAY, TRADEFLOW, Latency
from bench.load import Load
from bench.processes import ROOT, ContestantFailed
from bench.recovery import recoveries
from bench.throughput import Throughput, WrongResult, measure

TARGET = ROOT / "docs" / "benchmarks.md"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", choices=["throughput", "latency", "recovery", "papers"], help="one part of it"
    )
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
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.deltas, chosen.repeats, chosen.seconds = chosen.deltas // 10, 1, chosen.seconds / 5
    return chosen


def throughput(entrants: list[Entrant], deltas: int, books: int, repeats: int) -> dict[str, object]:
    """What the report says of it."""
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
    print(f"\n{table}\n", flush=True)
    share = sum(map(len, loads[1.0].tops.values())) / deltas
    values = {"table": table, "books": books, "deltas": deltas, "share": share, "repeats": repeats}
    return values | {"stock": loads[STOCK.share].deltas, "versions": report.versions(entrants)}


def _median(found: list[Throughput]) -> Throughput:
    middle = statistics.median_low(result.cpu for result in found)
    return next(result for result in found if result.cpu == middle)


def latencies(rates: list[int], seconds: float) -> dict[str, object]:
    """What the report says of it."""
    found: list[Latency] = []
    for relayer in (RELAY, TRADEFLOW):
        found += latency.run(relayer, rates, seconds)
    table = report.latency_table(found)
    print(f"\n{table}\n", flush=True)
    return {"latency": table, "seconds": seconds, "latency_books": latency.BOOKS}


def recovery(many: int, depth: int, repeats: int) -> None:
    """For itself alone: most of its time goes by waiting until Kafka gives up on the dead."""
    found = recoveries([QUIX, TRADEFLOW_ENTRANT], many, depth, repeats)
    print(f"\n{report.recovery_table(found)}\n", flush=True)


def compare_papers(seconds: int) -> None:
    """For itself alone: nothing in it depends on the machine."""
    said = papers.section('make bench ARGS="--only papers"', seconds, seed=1)
    print(said, flush=True)
    papers.write(said)
    print(f"Written to {papers.TARGET.relative_to(ROOT)}")


def main() -> None:
    chosen = options()
    if chosen.only == "papers":
        compare_papers(chosen.paper_seconds)
        return
    on = report.machine()
    print(on, flush=True)
    values: dict[str, object] = {"machine": on}
    if chosen.only == "recovery":
        recovery(chosen.many, chosen.depth, chosen.repeats)
        return
    if chosen.only != "latency":
        entrants = [ENTRANTS[name] for name in chosen.contestants.split(",")]
        values |= throughput(entrants, chosen.deltas, chosen.books, chosen.repeats)
    if chosen.only != "throughput":
        values |= latencies([int(rate) for rate in chosen.rates.split(",")], chosen.seconds)
    if not chosen.quick and not chosen.only:
        arguments = " ".join(sys.argv[1:])
        command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
        TARGET.write_text(report.document(command=command, **values))
        print(f"Written to {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
