"""Which strategies run, and with which parameters: STRATEGIES names them, `strategies.toml` sets them.

[imbalance]                  # parameters of one that STRATEGIES names
enter = "0.7"

[imbalance-eth]              # STRATEGIES=imbalance,imbalance-eth: another one of that class, under its own name
class = "imbalance"          # or "module:Class"
symbols = ["ETH-USDT"]
shadow = true
"""

from __future__ import annotations

import importlib
import sys
import tomllib
import types
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradeflow.partitions import PartitionMapError, PartitionMaps
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.strategies.parameters import with_parameters
from tradeflow.strategies.strategy import Strategy, StrategyError

SHIPPED: dict[str, type[Strategy]] = {cls.name: cls for cls in (Arbitrage, Imbalance)}

FILE = "strategies.toml"

OPTIONS = ("shadow", "cancel_on_loss")
"""Keys of a section beside `class` that aren't parameters: true or false."""

Sections = dict[str, dict[str, Any]]


def load_strategies(names: Iterable[str], maps: PartitionMaps, file: Path | None = None) -> list[Strategy]:
    """The strategies to run, in this order; `file`: their parameters, None: strategies.toml here, if there is one.

    Raises StrategyError for a name that means nothing, one that is given twice, symbols that can't be seen
    together, or what the file says; the message is what to do."""
    file = file or Path(FILE)
    sections = {} if file == Path(FILE) and not file.exists() else read_sections(file)
    strategies = [_configured(name, sections, file) for name in names]
    _check_sections(sections, strategies, file)
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
        raise StrategyError(
            f"STRATEGIES: {name!r} is neither one of {', '.join(SHIPPED)}, nor module:Class, nor a section of "
            "strategies.toml that names its class"
        )
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


def read_sections(file: Path) -> Sections:
    """The sections of a strategies.toml; numbers with a point are Decimal.  Raises StrategyError."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise StrategyError(f"{file} can't be read: {error}") from None
    for name, section in found.items():
        if not isinstance(section, dict):
            raise StrategyError(
                f"{file}: {name} = {section!r} stands in no section: write [strategy] above it"
            )
    return found


def _configured(name: str, sections: Sections, file: Path) -> Strategy:
    """One entry of STRATEGIES, as its section says."""
    class_name = sections.get(name, {}).get("class", name)
    if not isinstance(class_name, str):
        raise StrategyError(f"{file}: [{name}] class = {class_name!r}: must be a name or module:Class")
    strategy = load_strategy(class_name)
    section = sections.get(name if class_name != name else strategy.name, {})
    options: dict[str, Any] = {} if class_name == name else {"name": name}
    for option in OPTIONS:
        if option in section:
            options[option] = section[option]
            if not isinstance(section[option], bool):
                raise StrategyError(f"{file}: [{name}] {option} = {section[option]!r}: must be true or false")
    given = {key: value for key, value in section.items() if key not in ("class", *OPTIONS)}
    try:
        return with_parameters(with_options(strategy, options), given)
    except StrategyError as error:
        raise StrategyError(f"{file}: [{name}]: {error}") from None


def with_options(strategy: Strategy, options: Mapping[str, Any]) -> Strategy:
    """Of a class that differs from the strategy's in class variables; its source and parameters are the same."""
    if not options:
        return strategy
    cls = type(strategy)
    body: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "name": cls.name}
    derived = types.new_class(
        cls.__name__, (cls,), {"frozen": True}, lambda space: space.update({**body, **options})
    )
    values = {name: getattr(strategy, name) for name in strategy.__struct_fields__}
    made: Strategy = derived(**values)
    return made


def _check_sections(sections: Sections, strategies: Iterable[Strategy], file: Path) -> None:
    """One that is for nothing is misspelled; what names its class may wait for STRATEGIES to name it."""
    names = {strategy.name for strategy in strategies} | SHIPPED.keys()
    for name, section in sections.items():
        if name not in names and "class" not in section:
            raise StrategyError(
                f"{file}: [{name}] is for no strategy: those are {', '.join(sorted(names))}; for another one of a "
                'class write class = "…" below it'
            )


def _is_strategy(value: object) -> bool:
    return isinstance(value, Strategy) or (
        isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    )
