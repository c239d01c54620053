"""Skewed symbols over partitions and workers: how much more than the mean the busiest worker gets.  A simulation, pure.

Rates follow Zipf's law, the n-th busiest symbol having 1/n^s of the busiest one's.  Names are dealt at random, as
nothing in a name tells its rate.  Each worker gets as many partitions as any other: here p mod workers."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from bench.load import symbols
from tradeflow.balance import balance, partition_loads
from tradeflow.partitions import PartitionMap, extend

_SEEDS = range(5)


class Skew(NamedTuple):
    """The busiest worker's load in multiples of the mean; medians over several deals."""

    exponent: float
    workers: int
    partitions: int
    dealt: float
    """Partitions dealt in turn, as new maps are."""
    balanced: float
    least: float
    """No map can do better: one symbol is never divided."""
    moved: float
    """Share of the symbols."""


def zipf(count: int, exponent: float, seed: int = 0) -> dict[str, float]:
    """Symbol → its share of all."""
    names = symbols(count)
    random.Random(seed).shuffle(names)
    weights = [(n + 1) ** -exponent for n in range(count)]
    total = sum(weights)
    return {name: weight / total for name, weight in zip(names, weights, strict=True)}


def busiest_worker(map_: PartitionMap, rates: Mapping[str, float], workers: int) -> float:
    """In multiples of the mean."""
    loads = partition_loads(map_, rates)
    return max(sum(loads[first::workers]) for first in range(workers)) * workers / sum(loads)


def skew(count: int, exponent: float, workers: int, partitions: int) -> Skew:
    found = []
    for seed in _SEEDS:
        rates = zipf(count, exponent, seed)
        dealt = extend(None, sorted(rates), partitions, "symbols.json")
        made = balance(dealt, rates)
        moved = sum(made[symbol] != dealt[symbol] for symbol in dealt) / count
        least = max(1.0, max(rates.values()) * workers)
        found.append(
            (busiest_worker(dealt, rates, workers), busiest_worker(made, rates, workers), least, moved)
        )
    return Skew(
        exponent, workers, partitions, *(statistics.median(column) for column in zip(*found, strict=True))
    )
