"""`make bench`: everything, or one part.  Each writes its section of docs/benchmarks.md, and the goals at the top."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import (
    backtests,
    book,
    growth,
    ingest,
    latency,
    memory,
    papers,
    pipeline,
    recovery,
    report,
    saturation,
    scaling,
    throughput,
    workers,
)
from bench.entrants import ENTRANTS
from bench.goals import Section, keep, rows
from bench.options import Options, parse
from bench.processes import ROOT
from bench.readers import readers

PARTS: dict[str, Callable[[Options], Section]] = {
    "throughput": throughput.run,
    "pipeline": pipeline.run,
    "latency": latency.run,
    "saturation": saturation.run,
    "ingest": ingest.run,
    "book": book.run,
    "growth": growth.run,
    "recovery": recovery.run,
    "workers": workers.run,
    "memory": memory.run,
}
APART = ("scaling", "papers", "backtests", "readers")
"""Not part of the whole: they measure nothing of this machine, or compare tradeflow with itself."""
TARGET = ROOT / "docs" / "benchmarks.md"


def write(part: str, section: Section, command: str, machine: report.Machine) -> None:
    """The part's section, and the table of goals anew."""
    keep(part, section, command, str(machine))
    text = report.refreshed(TARGET.read_text(), part, command=command, machine=machine, **section.values)
    goals = report.table(["", "goal", "measured", "", "`make bench ARGS=…`"], rows(list(PARTS)))
    TARGET.write_text(report.refreshed(text, "goals", table=goals))
    print(f"Written to {TARGET.relative_to(ROOT)}", flush=True)


def apart(options: Options) -> None:
    if options.only == "scaling":
        scaling.write()
    elif options.only == "backtests":
        compare_backtests(report.machine(), 2 * options.paper_seconds, options.repeats)
    elif options.only == "papers":
        said = papers.section('make bench ARGS="--only papers"', options.paper_seconds, seed=1)
        print(said, flush=True)
        papers.write(said)
        print(f"Written to {papers.TARGET.relative_to(ROOT)}")
    else:
        print(report.machine(), flush=True)
        readers(options.rates[-1], options.seconds, options.repeats)


def compare_backtests(on: report.Machine, seconds: int, repeats: int) -> None:
    where = f"{on.cores} cores of {on.cpu}; others used {on.busy:.0%} of the CPU just before"
    said = backtests.section('make bench ARGS="--only backtests"', where, seconds, repeats)
    print(said, flush=True)
    backtests.write(said)
    print(f"Written to {backtests.TARGET.relative_to(ROOT)}")


def main() -> None:
    options = parse([*PARTS, *APART], list(ENTRANTS))
    if options.only in APART:
        apart(options)
        return
    machine = report.machine()
    print(machine, flush=True)
    arguments = " ".join(sys.argv[1:])
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    for part, run in PARTS.items():
        if options.only not in (None, part):
            continue
        section = run(options)
        print(f"\n{section.values['table']}\n", flush=True)
        for goal in section.goals:
            print(" | ".join(goal.row("")[:4]), flush=True)
        if not options.quick and options.contestants == list(ENTRANTS):  # at once, for a later part may fail
            write(part, section, command, machine)


if __name__ == "__main__":
    main()
