"""`make fuzz`: a hundred thousand malformed frames and more, with a table of what became of them."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.fuzz.runs import SYMBOLS, fuzz, tell_stories


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--frames", type=int, default=120_000, help="over all exchanges")
    parser.add_argument("--stories", type=int, default=20_000, help="histories of books")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        each = options.frames // len(SYMBOLS)
        reports = [pool.submit(fuzz, name, each, options.seed) for name in SYMBOLS]
        seed = options.seed * 1_000_000
        parts = [pool.submit(tell_stories, seed + n, 500) for n in range(0, options.stories, 500)]
        for report in as_completed(reports):
            report.result().show()
            for (_, effect), count in report.result().counts.items():
                total[effect] += count
        records = sum(part.result() for part in parts)
    print(f"\n{total.total():,} malformed frames: {', '.join(f'{n:,} {e}' for e, n in total.most_common())}.")
    print(
        "None ended the process, hung, leaked an exception, or reached a book as anything but what it says."
    )
    print(f"{len(parts) * 500:,} histories of books, {records:,} records: what was live was true.")


if __name__ == "__main__":
    main()
