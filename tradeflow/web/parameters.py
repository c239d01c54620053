"""Query parameters: a struct says which a view takes, of which type, with which default and limits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType
from multidict import MultiMapping

from tradeflow.web.problems import BAD_PARAMETER, Problem

MAX_DEPTH = 100_000
MAX_ROWS = 10_000


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None; a subclass adds those of its views.  UNSET: not given."""


Depth = Annotated[int, Meta(ge=1, le=MAX_DEPTH, description="Levels a side.")]
Cursor = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="`next` of the answer before: the rows after that one."),
]
Limit = Annotated[int, Meta(ge=1, le=MAX_ROWS, description="Rows of one answer.")]

Name = Annotated[str, Meta(min_length=1, max_length=200, description="Only those of this one.")]


class Paged(Query, frozen=True, kw_only=True):
    """Of a list that is known whole."""

    limit: Limit = 1_000
    cursor: Cursor | UnsetType = UNSET


class Newest(Paged, frozen=True, kw_only=True):
    """Of a list that grows."""

    limit: Limit = 100


def read[Q: Query](given: MultiMapping[str], wanted: type[Q]) -> Q:
    """Those of a request.  Problem 400, with the value and what is allowed, for any that can't be used."""
    names = allowed(wanted)
    for name in given:
        if name not in names:
            takes = f"it takes {', '.join(names)}" if names else "it takes none"
            raise Problem(BAD_PARAMETER, f"there is no parameter {name!r} here: {takes}", parameter=name)
        if (times := len(given.getall(name))) > 1:
            raise Problem(BAD_PARAMETER, f"{name} is given {times} times: once is needed", parameter=name)
    try:
        return msgspec.convert(dict(given), wanted, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("`$.")[2].rstrip("`")
        limits = {key: value for key, value in names[name].items() if key != "description"}
        detail = f"{name}={given[name]!r}: {_needed(limits)} is needed"
        raise Problem(BAD_PARAMETER, detail, parameter=name, value=given[name], allowed=limits) from None


@cache
def allowed(wanted: type[Query]) -> Mapping[str, dict[str, Any]]:
    """By name, the JSON Schema of each parameter."""
    _, definitions = msgspec.json.schema_components([wanted])
    return cast(Mapping[str, dict[str, Any]], definitions[wanted.__name__]["properties"])


def _needed(limits: Mapping[str, Any]) -> str:
    if limits["type"] == "integer":
        highest = limits.get("maximum")
        return f"a whole number from {limits['minimum']}" + (
            f" to {highest}" if highest is not None else " on"
        )
    if "maxLength" in limits:
        return f"a text of {limits.get('minLength', 0)} to {limits['maxLength']} characters"
    return f"a text like {limits['examples'][0]}"
