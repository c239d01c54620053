"""JSON Schemas of our types, with what their docstrings and the strings below their fields say."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any, get_args

import msgspec


def components(
    types: Iterable[Any], ref_template: str
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The schema of each type, and of each record in them by name, described.  `ref_template`: as msgspec has it."""
    types = list(types)
    schemas, definitions = msgspec.json.schema_components(types, ref_template=ref_template)
    for record in _records(types):
        definition = definitions[record.__name__]
        definition.pop("description", None)  # msgspec repeats the base class's
        if says := class_doc(record):
            definition["description"] = says
        for field, says in field_docs(record).items():
            if field in definition["properties"]:
                definition["properties"][field].setdefault("description", says)
    return list(schemas), definitions


def class_doc(record: type) -> str:
    return _one_line(record.__dict__.get("__doc__") or "")


def field_docs(record: type) -> dict[str, str]:
    """The string below each field, own and inherited."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if base.__module__.startswith("tradeflow."):
            found |= _docs_of(sys.modules[base.__module__]).get(base.__name__, {})
    return found


@cache
def _docs_of(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class name → field → its string."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            pairs = zip(node.body, node.body[1:], strict=False)
            found[node.name] = {
                ast.unparse(statement.target): _one_line(ast.literal_eval(below.value))
                for statement, below in pairs
                if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr)
            }
    return found


def _records(types: Iterable[Any]) -> set[type]:
    """The structs and typed dicts in some types, nested ones included."""
    found: set[type] = set()
    waiting = list(types)
    while waiting:
        one = waiting.pop()
        waiting += get_args(one)
        if one in found or not isinstance(one, type):
            continue
        if issubclass(one, msgspec.Struct):
            found.add(one)
            waiting += [field.type for field in msgspec.structs.fields(one)]
        elif hasattr(one, "__required_keys__"):
            found.add(one)
            waiting += inspect.get_annotations(one, eval_str=True).values()
    return found


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
