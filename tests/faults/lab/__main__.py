"""`make faults`: the whole table, on the whole system; prints and writes the figures, status 1 if a limit broke."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.lab import report
from tests.faults.lab.oracle import Oracle
from tests.faults.lab.orders import Orders, check_orders
from tests.faults.lab.system import LEVELS, QUIET, RATE, System
from tests.faults.lab.table import KINDS, LAST, chosen
from tests.faults.lab.trial import Laboratory

ROOT = Path(__file__).parents[3]
MARK, END = "<!-- figures of `make faults` -->", "<!-- end of the figures -->"
"""What is between them in README.md and docs/faults.md is written here."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the times that each fault is injected")
    parser.add_argument("--only", default="", help="faults whose name has this text")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn at random")
    parser.add_argument("--write", action="store_true", help="put the figures into the documents")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tradeflow-faults-"))
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)

    try:
        problems, figures, details = run(directory, options, say)
    except BaseException:
        print(f"The logs are in {directory}", file=sys.stderr)
        raise
    print(f"\n{figures}\n\n{details}\n")
    for problem in problems:
        print(problem)
    if problems:
        print(f"The logs are in {directory}")
    else:
        shutil.rmtree(directory)
    if options.write:
        write(ROOT / "README.md", figures)
        write(ROOT / "docs" / "faults.md", f"{figures}\n\n{details}")
    return 1 if problems else 0


def write(document: Path, figures: str) -> None:
    head, _, rest = document.read_text().partition(MARK)
    document.write_text(f"{head}{MARK}\n\n{figures}\n\n{END}{rest.partition(END)[2]}")


def run(directory: Path, options: argparse.Namespace, say: report.Say) -> tuple[list[str], str, str]:
    """What broke a limit, the figures, and what was compared for them."""
    with System(directory, options.seed) as system:
        say(f"{len(system.places)} books of {LEVELS} levels a side, {RATE} updates a second, 2 workers")
        with Oracle(system.truth_url, system.places, system.urls, old_after=QUIET) as oracle:
            laboratory = Laboratory(system, oracle, say)
            laboratory.wait_live()
            laboratory.run(chosen(KINDS, options.only), options.share)
            say("checking the orders")
            orders = settle_orders(system)
            system.revive()
            if orders.good:  # else its topics are what there is to look at
                laboratory.run(chosen(LAST, options.only), options.share)
    problems = [problem for line in laboratory.lines for problem in line.problems]
    problems += [f"first {kind}: {detail}" for kind, detail in oracle.first.items()]
    if not orders.good:
        problems.append(f"orders: {orders}")
    figures = f"{report.table(laboratory.lines)}\n\n{report.verdict(oracle, orders)}"
    return problems, figures, report.summary(oracle, orders)


def settle_orders(system: System) -> Orders:
    """Both workers end in order, and what they have sent is held to the log."""
    for worker in system.workers.values():
        worker.signal(signal.SIGTERM)
    for worker in system.workers.values():
        worker.child.wait()
    return check_orders(system.cluster)


if __name__ == "__main__":
    sys.exit(main())
