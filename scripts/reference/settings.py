"""docs/reference/settings.md and .env.example, from the fields of Settings."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tradeflow.settings import Settings, environment_name

WITHOUT_EFFECT = {"binance_api_key", "binance_secret_key", "kraken_rest_url"}
"""Settings that are read and checked, and that nothing uses yet."""

HEAD = """\
# Settings

<!-- Written by `make docs` from tradeflow/settings.py. -->

They are read once, at start, from the environment or from `.env` in the working directory; the environment
wins.  A value that can't be used is refused by name.  `tradeflow show-config` shows them all, secrets masked.

| Variable | Default | Values | Meaning |
|---|---|---|---|
"""

FOOT = """
Faust's own settings go by `TRADEFLOW_FAUST_…`.  Leave those that `tradeflow/wiring.py` gives: the checkpoint
relies on them.
"""

WORDS = {
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}


def page() -> str:
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items()) + FOOT


def env_example() -> str:
    head = (
        "# Copy to .env and uncomment what you change.  Written by `make docs` from tradeflow/settings.py.\n"
    )
    return head + "".join(
        f"\n# {field.description}\n#{environment_name(name)}={_default(field)}\n"
        for name, field in Settings.model_fields.items()
    )


def _row(name: str, field: FieldInfo) -> str:
    meaning = field.description or ""
    if aliases := [str(choice) for choice in getattr(field.validation_alias, "choices", [])][1:]:
        meaning += f" Also read as `{'`, `'.join(aliases)}`."
    if name in WITHOUT_EFFECT:
        meaning += " *Without effect so far.*"
    default = f"`{_default(field)}`" if _default(field) else "–"
    return f"| `{environment_name(name)}` | {default} | {_values(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, list) else str(value)


def _values(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(argument for argument in get_args(kind) if argument is not type(None))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is list:
        return "comma separated"
    bounds = [
        f"{sign} {bound}"
        for constraint in field.metadata
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if (bound := getattr(constraint, attribute, None)) is not None
    ]
    return ", ".join([WORDS[kind], *bounds])
