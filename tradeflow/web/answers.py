"""HTTP answers in one form: JSON by msgspec, errors as problem details, and nothing sent again that is known."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp import ETag, web

from tradeflow.web.problems import Problem

HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
PASSED_ON = ("ETag", "Cache-Control")
"""Headers of another worker's answer that are passed on; the others follow from its status."""

_encode = msgspec.json.Encoder().encode


class Passed(msgspec.Struct):
    """Another worker's answer, passed on as it is."""

    body: bytes
    content_type: str
    status: int
    headers: dict[str, str] = {}


class Tagged[T](NamedTuple):
    """A value that is the same as long as its tag is; who has it is told so, instead of getting it again."""

    value: T
    tag: str
    """None of its characters is a quotation mark."""


def answer(value: Any) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")


def tagged(request: web.Request, found: Tagged[Any]) -> web.Response:
    """304 for who has it already.  It may be kept, but not be used before this worker has been asked again."""
    known = request.if_none_match or ()
    if any(one.value in (found.tag, "*") for one in known):
        response = web.Response(status=304)
    else:
        response = answer(found.value)
    response.etag = ETag(found.tag, is_weak=True)  # the same but for ages
    response.headers["Cache-Control"] = "no-cache"
    return response


def told(problem: Problem) -> web.Response:
    return _problem(problem.kind.status, problem.body)


def told_by_status(status: int) -> web.Response:
    """Of what no view has looked at."""
    phrase = HTTPStatus(status)
    title = phrase.phrase
    detail = f"{phrase.description or title}; /openapi.json describes what may be asked"
    return _problem(status, {"type": "about:blank", "title": title, "status": status, "detail": detail})


def _problem(status: int, body: dict[str, Any]) -> web.Response:
    return pass_on(Passed(_encode(body), "application/problem+json", status))


def pass_on(passed: Passed) -> web.Response:
    headers = {**HEADERS.get(passed.status, {}), **passed.headers}
    if passed.status == 304:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=passed.body, content_type=passed.content_type, status=passed.status, headers=headers
    )
