"""`make fuzz`: a hundred thousand malformed frames and more, with a table of what became of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter

from tests.fuzz.exchanges import Exchange, recorded, simulated
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.mutations import MUTATIONS

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


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--frames", type=int, default=120_000, help="over all exchanges")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for name in SYMBOLS:
        sources = exchanges(name, options.seed)
        counts: Counter[tuple[str, str]] = Counter()
        started = time.monotonic()
        connections, slowest = 0, 0.0
        for number, (_, exchange) in enumerate(sources):
            fuzzer = Fuzzer(exchange, options.seed + number)
            each = options.frames // len(SYMBOLS) // len(sources) + 1
            asyncio.run(fuzzer.run(plan(each, options.seed + number)))
            counts += fuzzer.counts
            connections += fuzzer.connections
            slowest = max(slowest, fuzzer.slowest)
        effects = sorted({effect for _, effect in counts})
        print(
            f"\n{name} ({' and '.join(kind for kind, _ in sources)}): {counts.total():,} malformed frames, "
            f"{connections:,} connections healed, slowest frame {slowest:.2f} s, "
            f"{time.monotonic() - started:.0f} s"
        )
        print(f"  {'':<18}" + "".join(f"{effect:>24}" for effect in effects))
        for mutation in MUTATIONS:
            print(f"  {mutation:<18}" + "".join(f"{counts[mutation, effect]:>24,}" for effect in effects))
        for (_, effect), count in counts.items():
            total[effect] += count
    print(f"\n{total.total():,} malformed frames; none leaked, hung, or reached a book: {dict(total)}")


if __name__ == "__main__":
    main()
