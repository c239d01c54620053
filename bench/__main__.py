"""`make bench`: everything, or one part.  Each writes its section of docs/benchmarks.md, and the goals at the top."""

from __future__ import annotations

import sys
import traceback
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
TARGET = ROOT / "docs" / "benchmarks.md"


def write(part: str, section: Section, command: str, machine: report.Machine) -> None:
    """The part's section, and the table of goals anew."""
    keep(part, section, command, str(machine))
    text = report.refreshed(TARGET.read_text(), part, command=command, machine=machine, **section.values)
    goals = report.table(["", "goal", "measured", "", "`make bench ARGS=…`"], rows(list(PARTS)))
    TARGET.write_text(report.refreshed(text, "goals", table=goals))
    print(f"Written to {TARGET.relative_to(ROOT)}", flush=True)


def compare_papers(options: Options) -> None:
    """Nothing in it depends on the machine."""
    said = papers.section('make bench ARGS="--only papers"', options.paper_seconds, seed=1)
    print(said, flush=True)
    papers.write(said)
    print(f"Written to {papers.TARGET.relative_to(ROOT)}")


def compare_backtests(options: Options) -> None:
    machine = report.machine()
    where = f"{machine.cores} cores of {machine.cpu}; others used {machine.busy:.0%} of the CPU just before"
    command = 'make bench ARGS="--only backtests"'
    said = backtests.section(command, where, 2 * options.paper_seconds, options.repeats)
    print(said, flush=True)
    backtests.write(said)
    print(f"Written to {backtests.TARGET.relative_to(ROOT)}")


def compare_readers(options: Options) -> None:
    """tradeflow with itself."""
    print(report.machine(), flush=True)
    readers(options.rates[len(options.rates) // 2], options.seconds, options.repeats)


APART: dict[str, Callable[[Options], None]] = {
    "scaling": lambda _: scaling.write(),
    "papers": compare_papers,
    "backtests": compare_backtests,
    "readers": compare_readers,
}
"""By themselves: the model of what has been measured (made anew after the whole as well), and comparisons that have no
place in the page."""


def main() -> int:
    """1 if a part has failed: what it says is told, and the others go on."""
    options = parse([*PARTS, *APART], list(ENTRANTS))
    if options.only in APART:
        APART[options.only](options)
        return 0
    machine = report.machine()
    print(machine, flush=True)
    arguments = " ".join(sys.argv[1:])
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    failed = []
    for part in [options.only] if options.only else PARTS:
        try:
            section = PARTS[part](options)
        except Exception:
            traceback.print_exc()
            failed.append(part)
            continue
        print(f"\n{section.values['table']}\n", flush=True)
        for goal in section.goals:
            print(" | ".join(goal.row("")[:4]), flush=True)
        if not options.quick and options.contestants == list(ENTRANTS):  # at once, for a later part may fail
            write(part, section, command, machine)
    if options.only is None and not options.quick:
        scaling.write()
    if failed:
        print(f"No figure of: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
