"""The OpenAPI 3.1 document of the views, from what `PAGES` declares of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import groupby
from types import UnionType
from typing import Any, Union, get_args, get_origin

from aiohttp.web import StreamResponse

from tradeflow.schemas import components
from tradeflow.web.answers import Passed, Tagged
from tradeflow.web.pages import Page
from tradeflow.web.parameters import allowed
from tradeflow.web.problems import Kind, ProblemDetails

DESCRIPTION = (
    "Order books, orders and what became of them, as any worker of a group serves them.  Times are integer nanoseconds"
    " since 1970, UTC.  Prices and sizes are decimal strings, exact to the last digit.  Answers may get more members:"
    " ignore those that you don't know."
)

REF = "#/components/schemas/{name}"
TEXT = {"type": "string"}


def document(pages: Sequence[Page], version: str) -> dict[str, Any]:
    answers = {page.function: _answer(page) for page in pages}
    bodies = [page.body for page in pages if page.body is not None]
    types = [found for found, _ in answers.values() if found is not None]
    _, definitions = components([*types, *bodies, ProblemDetails], REF)
    paths: dict[str, dict[str, Any]] = {}
    for page in sorted(pages, key=lambda page: page.path):
        paths.setdefault(page.path, {})[page.method] = _operation(page, *answers[page.function])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tradeflow",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The worker's `TRADEFLOW_TOKEN`.",
                }
            },
        },
    }


def _operation(page: Page, answer: Any, is_tagged: bool) -> dict[str, Any]:
    says = " ".join(inspect.getdoc(page.function).split()) if page.function.__doc__ else ""  # type: ignore[union-attr]
    found: dict[str, Any] = {
        "operationId": page.function.__name__,
        "tags": [page.function.__module__.rpartition(".")[2]],
        "summary": re.split(r"(?<=[.])\s", says)[0].rstrip("."),
        "description": says,
        "parameters": [*_path_parameters(page), *_query_parameters(page, is_tagged)],
        "responses": _good(page, answer, is_tagged) | _bad(page.problems),
    }
    if page.body is not None:
        schema = components([page.body], REF)[0][0]
        found["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if page.method == "post":
        found["security"] = [{"token": []}]
    return found


def _path_parameters(page: Page) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", page.path):
        yield _parameter(name, "path", True, components([page.hints[name]], REF)[0][0])


def _query_parameters(page: Page, is_tagged: bool) -> Iterator[dict[str, Any]]:
    for name, schema in allowed(page.query).items():
        yield _parameter(name, "query", False, schema)
    if is_tagged:
        says = {**TEXT, "description": "`ETag` of what one has: 304 if it is still that."}
        yield _parameter("If-None-Match", "header", False, says)


def _parameter(name: str, place: str, is_required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    says = schema.pop("description", None)
    found = {"name": name, "in": place, "required": is_required, "schema": schema}
    return found | ({"description": says} if says else {})


def _answer(page: Page) -> tuple[Any, bool]:
    """Type of what is encoded (None: something else than JSON), and whether it bears an ETag."""
    returned = page.hints["return"]
    members = get_args(returned) if get_origin(returned) in (Union, UnionType) else (returned,)
    for member in members:
        if get_origin(member) is Tagged:
            return get_args(member)[0], True
    for member in members:
        if member is not Passed and not (isinstance(member, type) and issubclass(member, StreamResponse)):
            return member, False
    return None, False


def _good(page: Page, answer: Any, is_tagged: bool) -> dict[str, Any]:
    schema = TEXT if answer is None else components([answer], REF)[0][0]
    good: dict[str, Any] = {
        "description": "OK",
        "content": {media: {"schema": schema} for media in page.media},
    }
    if not is_tagged:
        return {"200": good}
    tag = {"ETag": {"schema": TEXT, "description": "For `If-None-Match`; a book that isn't live has none."}}
    return {"200": good | {"headers": tag}, "304": {"description": "It is what one has.", "headers": tag}}


def _bad(problems: Iterable[Kind]) -> dict[str, Any]:
    """The kinds of each status together."""
    found: dict[str, Any] = {}
    by_status = sorted(problems, key=lambda kind: kind.status)
    for status, kinds in groupby(by_status, key=lambda kind: kind.status):
        listed = list(kinds)
        examples = {kind.name: {"summary": kind.meaning, "value": _example(kind)} for kind in listed}
        content = {"schema": {"$ref": REF.format(name="ProblemDetails")}, "examples": examples}
        found[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(kind.title for kind in listed)}",
            "content": {"application/problem+json": content},
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            found[str(status)]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
            }
    return found


def _example(kind: Kind) -> dict[str, Any]:
    return {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.meaning}
