"""A partition map by measured rates: few symbols moved, and no partition has much more to do than others; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from tradeflow.partitions import PartitionMap, PartitionMapError, check_map

EVEN = 1.01
"""A partition with more than this in multiples of the mean load is busy; what is below stays as it is."""
_HIGHEST = 1e12


def balance(
    map_: PartitionMap, rates: Mapping[str, float], together: Iterable[Collection[str]] = ()
) -> PartitionMap:
    """The map with few symbols moved, so that the busiest partition has less to do; the count stays.

    `rates`: what each symbol costs, in any unit (deltas a second); one that isn't there costs nothing.  `together`:
    symbols that a strategy sees together; where they share a partition they move as one.  Step by step, a
    partition with more than the mean gives a symbol to the quietest one, or exchanges it for one there, such that both
    come nearest to each other; until no step helps.  So the busiest one never gets busier, none gets empty, and a
    balanced map stays as it is.  Raises PartitionMapError for a rate of a symbol that the map hasn't, or that is no
    number from 0 up."""
    check_rates(map_, rates)
    leaders = _leaders(map_, together)
    held: list[set[str]] = [set() for _ in range(map_.count)]
    weights: defaultdict[str, float] = defaultdict(float)
    for symbol, leader in leaders.items():
        held[map_[symbol]].add(leader)
        weights[leader] += rates.get(symbol, 0.0)
    loads = partition_loads(map_, rates)
    while step := _next_step(held, loads, weights):
        for leader, home, other in step:
            held[home].remove(leader)
            held[other].add(leader)
            loads[home] -= weights[leader]
            loads[other] += weights[leader]
    places = {leader: partition for partition, found in enumerate(held) for leader in found}
    return check_map(map_.file, [(symbol, places[leaders[symbol]]) for symbol in map_])


def _leaders(map_: PartitionMap, together: Iterable[Collection[str]]) -> dict[str, str]:
    """Symbol → the one that it moves with: itself, unless it has to stay with others."""
    leaders = {symbol: symbol for symbol in map_}
    for group in together:
        found = [symbol for symbol in group if symbol in map_]
        if len({map_[symbol] for symbol in found}) == 1:
            first, joined = leaders[found[0]], {leaders[symbol] for symbol in found}
            leaders |= {symbol: first for symbol, leader in leaders.items() if leader in joined}
    return leaders


def partition_loads(map_: PartitionMap, rates: Mapping[str, float]) -> list[float]:
    """What each partition has to do: the sum of its symbols' rates."""
    loads = [0.0] * map_.count
    for symbol, partition in map_.items():
        loads[partition] += rates.get(symbol, 0.0)
    return loads


def check_rates(map_: PartitionMap, rates: Mapping[str, float]) -> None:
    """Raises PartitionMapError for what `balance` can't take."""
    for symbol, rate in rates.items():
        if symbol not in map_:
            raise PartitionMapError(
                f"{map_.file}: {symbol} has a rate and no partition; add it, or leave it out"
            )
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < _HIGHEST:
            raise PartitionMapError(f"the rate of {symbol} is {rate!r}; write a number from 0 up")


def _next_step(
    held: list[set[str]], loads: list[float], rates: Mapping[str, float]
) -> list[tuple[str, int, int]]:
    """(symbol, from, to) of one or two; of the busiest partition that anything can be done for."""
    mean = sum(loads) / len(loads)
    order = sorted(range(len(loads)), key=loads.__getitem__)
    quietest = order[0]
    for busy in reversed(order[1:]):
        difference = loads[busy] - loads[quietest]
        if loads[busy] <= mean * EVEN:
            break
        if step := _best_step(held[busy], held[quietest], difference, difference - mean / 1e6, rates):
            given, back = step
            found = [(given, busy, quietest)]
            return [*found, (back, quietest, busy)] if back else found
    return []


def _best_step(
    busy: set[str], quiet: set[str], difference: float, least: float, rates: Mapping[str, float]
) -> tuple[str, str] | None:
    """(symbol to give, one to take back, or empty) that leaves least of the difference; None if none beats `least`."""
    best = None
    back = sorted((rates.get(symbol, 0.0), symbol) for symbol in quiet)
    for symbol in sorted(busy):
        rate = rates.get(symbol, 0.0)
        nearest = bisect_left(back, (rate - difference / 2, ""))  # to what would make them even
        others = back[max(0, nearest - 1) : nearest + 1]
        if len(busy) > 1:  # none may be left empty
            others.insert(0, (0.0, ""))
        for other_rate, other in others:
            left = abs(difference - 2 * (rate - other_rate))
            if left < least:
                best, least = (symbol, other), left
    return best
