"""What a process of `make fuzz` does: malformed frames of one exchange, or some hundred stories of books."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import NamedTuple

from tests.fuzz.exchanges import Exchange, recorded, simulated
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.mutations import MUTATIONS
from tests.unit.book_story import tell

SYMBOLS = {
    "binance": ["BTC-USDT", "ETH-USDT"],
    "bitmex": ["BTC-USD-PERP", "ETH-USD-PERP"],
    "coinbase": ["BTC-USD", "ETH-USDT"],
    "kraken": ["BTC-USDT", "ETH-USDT"],
}
RARE = 500
"""One in so many frames is of five megabytes, the rest is spread evenly."""


def plan(count: int, seed: int) -> list[str]:
    """Each mutation in its turn, in a random order."""
    names = [name for name in MUTATIONS if name != "5 MB"]
    chosen = [names[n % len(names)] if n % RARE else "5 MB" for n in range(count)]
    random.Random(seed).shuffle(chosen)
    return chosen


def exchanges(name: str, seed: int) -> list[tuple[str, Exchange]]:
    """The exchange with the simulator's frames and, where there are any, with recorded ones."""
    found = [("simulated", Exchange(name, simulated(name, SYMBOLS[name], 600, seed)))]
    if tape := recorded(name):
        found.append(("recorded", Exchange(name, tape)))
    return found


class Report(NamedTuple):
    exchange: str
    sources: list[str]
    counts: Counter[tuple[str, str]]
    connections: int
    slowest: float
    seconds: float

    def show(self) -> None:
        effects = sorted({effect for _, effect in self.counts})
        print(
            f"\n{self.exchange} ({' and '.join(self.sources)}): {self.counts.total():,} malformed frames in "
            f"{self.seconds:.0f} s, {self.connections:,} connections, slowest frame {self.slowest:.2f} s"
        )
        print(f"  {'':<18}" + "".join(f"{effect:>24}" for effect in effects))
        for mutation in MUTATIONS:
            print(
                f"  {mutation:<18}" + "".join(f"{self.counts[mutation, effect]:>24,}" for effect in effects),
                flush=True,
            )


def fuzz(name: str, count: int, seed: int) -> Report:
    """So many malformed frames of one exchange, over its sources."""
    started = time.monotonic()
    sources = exchanges(name, seed)
    counts: Counter[tuple[str, str]] = Counter()
    connections, slowest = 0, 0.0
    for number, (_, exchange) in enumerate(sources):
        fuzzer = Fuzzer(exchange, seed + number)
        asyncio.run(fuzzer.run(plan(count // len(sources) + 1, seed + number)))
        counts += fuzzer.counts
        connections += fuzzer.connections
        slowest = max(slowest, fuzzer.slowest)
    kinds = [kind for kind, _ in sources]
    return Report(name, kinds, counts, connections, slowest, time.monotonic() - started)


def tell_stories(first: int, count: int) -> int:
    """The stories of tests/unit/test_order_book_machine.py; records that arrived."""
    return sum(tell(seed).offset for seed in range(first, first + count))
