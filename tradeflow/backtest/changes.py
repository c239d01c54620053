"""Other parameters for a backtest: `--set strategy.parameter=value`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tradeflow.strategies import Strategy, StrategyError
from tradeflow.strategies.parameters import from_text, with_parameters


class Change(NamedTuple):
    """One parameter's value, as text."""

    strategy: str
    """Empty: of the one strategy that has it."""
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.strategy}.{self.name}={self.value}" if self.strategy else f"{self.name}={self.value}"


def parse_change(text: str) -> Change:
    """`strategy.parameter=value`, or `parameter=value` where one strategy has it.  Raises StrategyError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StrategyError(f"{text!r}: write strategy.parameter=value")
    strategy, dot, parameter = name.rpartition(".")
    return Change(strategy if dot else "", parameter, value)


def changed(strategies: Sequence[Strategy], changes: Sequence[Change]) -> list[Strategy]:
    """The strategies with other parameters.  Raises StrategyError for one that nobody, or several, have."""
    found = list(strategies)
    for change in changes:
        places = [
            n
            for n, one in enumerate(found)
            if change.strategy in ("", one.name) and change.name in one.__struct_fields__
        ]
        if len(places) != 1:
            names = ", ".join(one.name for one in found)
            which = "none" if not places else "several"
            raise StrategyError(f"{change}: {which} of {names} have it; write strategy.parameter=value")
        one = found[places[0]]
        found[places[0]] = with_parameters(one, from_text(one, {change.name: change.value}))
    return found
