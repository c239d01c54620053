"""Parameters of strategies: from `strategies.toml`, or as text, changed while a strategy runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradeflow.strategies.strategy import Strategy, StrategyError

FIXED = ("symbols",)
"""What can't change while it runs: which runs there are follows from it."""


def with_parameters[S: Strategy](strategy: S, values: Mapping[str, Any]) -> S:
    """The same strategy with some parameters changed; `values` as TOML gives them, its floats as Decimal.

    Raises StrategyError for one that it doesn't have, or that doesn't fit."""
    fields = {field.name: field.type for field in msgspec.structs.fields(strategy)}
    if unknown := sorted(values.keys() - fields.keys()):
        known = ", ".join(sorted(fields))
        raise StrategyError(f"{strategy.name} has no parameter {unknown[0]!r}; it has {known}")
    current = {name: getattr(strategy, name) for name in fields}
    return type(strategy)(**current | {name: _fit(value, fields[name]) for name, value in values.items()})


def from_text(strategy: Strategy, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters that are changed while it runs, each written as in strategies.toml; quotes may be left out.

    Raises StrategyError for one that can't be changed."""
    fields = {field.name: field.type for field in msgspec.structs.fields(strategy)}
    for name in FIXED:
        if name in texts:
            raise StrategyError(
                f"{name} can't be changed while {strategy.name} runs: stop all workers, edit strategies.toml"
            )
    return {name: _read(text, fields.get(name)) for name, text in texts.items()}


def as_text(strategy: Strategy) -> dict[str, str]:
    """Every parameter, as from_text() reads it."""
    values = {field.name: getattr(strategy, field.name) for field in msgspec.structs.fields(strategy)}
    plain = {name: msgspec.to_builtins(value) for name, value in values.items()}
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in plain.items()
    }


def _read(text: str, type_: Any) -> Any:
    """The text itself where the type takes it, else what it is in TOML, or in JSON (which as_text() writes)."""
    try:
        return msgspec.convert(text, type_, strict=False)
    except msgspec.ValidationError:
        pass
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _fit(value: Any, type_: Any) -> Any:
    """TOML's numbers with a point are exact; a parameter may want floats."""
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return _floats(value)
    return value


def _floats(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_floats(one) for one in value]
    if isinstance(value, dict):
        return {key: _floats(one) for key, one in value.items()}
    return value
