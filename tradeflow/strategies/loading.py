"""Strategies by name: the shipped ones, and `module:Class` (or an instance) of the user's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from tradeflow.partitions import PartitionMapError, PartitionMaps
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.strategies.strategy import Strategy, StrategyError

SHIPPED: dict[str, type[Strategy]] = {cls.name: cls for cls in (Arbitrage, Imbalance)}


def load_strategies(names: Iterable[str], maps: PartitionMaps) -> list[Strategy]:
    """The strategies to run, in this order.

    Raises StrategyError for a name that means nothing, one that is given twice, or symbols that can't be seen
    together; the message is what to do."""
    strategies = [load_strategy(name) for name in names]
    identities: set[tuple[str, str]] = set()
    for strategy in strategies:
        identity = strategy.name, strategy.params_hash
        if identity in identities:
            raise StrategyError(
                f"STRATEGIES: {strategy.name} is there twice with the same parameters; remove one, or "
                "give one another `name`: their orders would have the same ids"
            )
        identities.add(identity)
        try:
            maps.check_together(strategy.symbols)
        except PartitionMapError as error:
            raise StrategyError(f"STRATEGIES: {strategy.name}: {error}") from None
    return strategies


def load_strategy(name: str) -> Strategy:
    """One strategy.  A class gets its default parameters; for others name an instance of your module."""
    if name in SHIPPED:
        return SHIPPED[name]()
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise StrategyError(f"STRATEGIES: {name!r} is neither one of {', '.join(SHIPPED)} nor module:Class")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise StrategyError(f"STRATEGIES: {name!r}: {error}; run in the directory that holds it") from error
    found = getattr(module, attribute, None)
    if isinstance(found, type) and issubclass(found, Strategy):
        found = found()
    if not isinstance(found, Strategy):
        classes = sorted(key for key, value in vars(module).items() if _is_strategy(value))
        known = ", ".join(classes) or "none at all"
        raise StrategyError(f"STRATEGIES: {name!r}: {module_name} has no Strategy {attribute!r}, but {known}")
    return found


def _is_strategy(value: object) -> bool:
    return isinstance(value, Strategy) or (
        isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    )
