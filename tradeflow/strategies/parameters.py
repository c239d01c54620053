"""Parameters of strategies as text: from `strategies.toml`, or changed while a strategy runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradeflow.strategies.strategy import Strategy, StrategyError

FIXED = ("symbols",)
"""What can't change while it runs: which runs there are follows from it."""


def with_parameters[S: Strategy](strategy: S, values: Mapping[str, str]) -> S:
    """The same strategy with some parameters changed: name → value, written as in strategies.toml.

    Raises StrategyError for one that it doesn't have, that can't change, or that doesn't fit."""
    fields = {field.name: field for field in msgspec.structs.fields(strategy)}
    changed: dict[str, Any] = {}
    for name, text in values.items():
        if name not in fields:
            known = ", ".join(sorted(fields.keys() - set(FIXED))) or "none at all"
            raise StrategyError(f"{strategy.name} has no parameter {name!r}, but {known}")
        if name in FIXED:
            raise StrategyError(f"{name} can't change while {strategy.name} runs: stop all workers for that")
        changed[name] = parse(text, fields[name].type)
    current = {name: getattr(strategy, name) for name in fields}
    return type(strategy)(**{**current, **changed})


def parse(text: str, type_: Any) -> Any:
    """A value of that type: the text itself if it can be one, else what it is in TOML.  What fits in neither way is
    returned as it is, for the strategy to refuse."""
    try:
        return msgspec.convert(text, type_, strict=False)
    except msgspec.ValidationError:
        try:
            return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
        except tomllib.TOMLDecodeError:
            return text


def as_text(strategy: Strategy) -> dict[str, str]:
    """Every parameter, written so that `with_parameters` reads it."""
    values = {field.name: getattr(strategy, field.name) for field in msgspec.structs.fields(strategy)}
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    plain = msgspec.to_builtins(value)
    return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()
