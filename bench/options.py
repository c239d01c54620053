"""What `make bench` measures, and how much of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Options:
    only: str | None
    contestants: list[str]
    deltas: int
    books: int
    repeats: int
    rates: list[int]
    seconds: float
    depth: int
    many: list[int]
    symbols: list[int]
    depths: list[int]
    workers: list[int]
    frames: int
    paper_seconds: int
    quick: bool


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def parse(parts: Sequence[str], contestants: Sequence[str], given: Sequence[str] | None = None) -> Options:
    """`given`: instead of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    add = parser.add_argument
    add("--only", choices=parts, help="one part of it")
    add("--contestants", default=",".join(contestants), help="for throughput, of %(default)s")
    add("--deltas", type=int, default=400_000, help="deltas to drain (%(default)s)")
    add("--books", type=int, default=40, help="books they are spread over (%(default)s)")
    add("--repeats", type=int, default=3, help="runs, of which the median counts (%(default)s)")
    add("--rates", type=_numbers, default="200,1000,5000", help="records a second for latency (%(default)s)")
    add("--seconds", type=float, default=20, help="at each rate (%(default)s)")
    add("--depth", type=int, default=1_000, help="levels a side: recovery, memory, checkpoints (%(default)s)")
    add("--many", type=_numbers, default="200,500", help="books: recovery, checkpoints, memory (%(default)s)")
    add("--symbols", type=_numbers, default="1,40,400,2000", help="for growth (%(default)s)")
    add("--depths", type=_numbers, default="20,100,1000,5000", help="for growth (%(default)s)")
    add("--workers", type=_numbers, default="1,2", help="for workers (%(default)s)")
    add("--frames", type=int, default=120_000, help="for ingest (%(default)s)")
    add("--paper-seconds", type=int, default=1_800, help="of one book, for papers (%(default)s)")
    add("--quick", action="store_true", help="a tenth of everything, once; writes nothing")
    options = Options(**vars(parser.parse_args(given)))
    options.contestants = str(options.contestants).split(",")
    if options.quick:
        options.deltas, options.frames = options.deltas // 10, options.frames // 6
        options.repeats, options.seconds = 1, options.seconds / 5
        options.depth, options.many = options.depth // 5, [options.many[0] // 5]
        options.symbols, options.depths = options.symbols[:2], options.depths[:2]
    return options
