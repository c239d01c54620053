"""HTTP answers in one form: JSON by msgspec, errors as problem details with what to do next."""

from __future__ import annotations

from typing import Any

import msgspec
from faust.web import Request, Response, View

HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}

_encode = msgspec.json.Encoder().encode


class Problem(Exception):
    """An error answer: HTTP status, title, and a detail that says what to do."""

    def __init__(self, status: int, title: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"status": status, "title": title, "detail": detail, **extra}


class Passed(msgspec.Struct):
    """Another worker's answer, passed on as it is."""

    body: bytes
    content_type: str
    status: int


def answer(view: View, value: Any, status: int = 200) -> Response:
    return view.bytes(_encode(value), content_type="application/json", status=status)


def problem(view: View, error: Problem) -> Response:
    return pass_on(view, Passed(_encode(error.body), "application/problem+json", error.status))


def pass_on(view: View, passed: Passed) -> Response:
    headers = HEADERS.get(passed.status)
    return view.bytes(passed.body, content_type=passed.content_type, status=passed.status, headers=headers)


def integer(request: Request, name: str, default: int, highest: int, lowest: int = 1) -> int:
    """A query parameter between `lowest` and `highest`."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and lowest <= int(text) <= highest):
        detail = f"{name}={text!r}: a whole number from {lowest} to {highest} is needed"
        raise Problem(400, "bad parameter", detail)
    return int(text)
