"""How a function becomes a web page: what it takes is checked, its result encoded, its Problem told.

`PAGES` is the one table of views: the server's routes and the OpenAPI document both come from it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast, get_type_hints

import msgspec
from aiohttp import web
from faust.web import View

from tradeflow.web.access import authorize, read_body
from tradeflow.web.answers import Passed, Tagged, answer, pass_on, tagged
from tradeflow.web.parameters import Query, read
from tradeflow.web.problems import (
    BAD_PARAMETER,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    CHANGES_OFF,
    FAILED,
    NOT_AUTHORIZED,
    NOT_UNDERSTOOD,
    Kind,
    Problem,
)
from tradeflow.wiring import app, config

log = logging.getLogger(__name__)

Handler = Callable[..., Awaitable[Any]]

JSON = ("application/json",)


class Page(msgspec.Struct, frozen=True):
    """A view, as its function's signature and its decorator declare it."""

    method: str
    path: str
    function: Handler
    media: tuple[str, ...]
    problems: tuple[Kind, ...]
    hints: dict[str, Any]
    """Types of the function's parameters, and of its `return`: path parameters, `query`, `body`."""

    @property
    def query(self) -> type[Query]:
        return cast(type[Query], self.hints.get("query", Query))

    @property
    def body(self) -> Any:
        """Type of the body; None: it takes none."""
        return self.hints.get("body")


PAGES: list[Page] = []


def page(path: str, *problems: Kind, media: tuple[str, ...] = JSON) -> Callable[[Handler], Handler]:
    """Register a view at `path` that may tell of `problems`.  Its function takes the request, the path's parameters,
    and a `query` if it declares one; it returns what is to be encoded, a Response, or raises Problem."""

    def decorate(function: Handler) -> Handler:
        _register("get", path, function, (BAD_PARAMETER, *problems, FAILED), media)
        return function

    return decorate


def changes_state(path: str, *problems: Kind) -> Callable[[Handler], Handler]:
    """Register a POST view that changes something: only for who bears `TRADEFLOW_TOKEN`, and logged.  A function that
    declares a `body` gets it decoded."""

    def decorate(function: Handler) -> Handler:
        kinds = (NOT_AUTHORIZED, CHANGES_OFF, BAD_PARAMETER, BODY_TOO_SLOW, BODY_TOO_LARGE)
        _register("post", path, function, (*kinds, *problems, FAILED), JSON)
        return function

    return decorate


def _register(
    method: str, path: str, function: Handler, problems: tuple[Kind, ...], media: tuple[str, ...]
) -> None:
    hints = get_type_hints(function, include_extras=True)
    if "body" in hints:
        problems = (NOT_UNDERSTOOD, *problems)
    declared = Page(method, path, function, media, tuple(dict.fromkeys(problems)), hints)
    PAGES.append(declared)

    @functools.wraps(function)
    async def view(self: View, request: Any, **params: str) -> web.StreamResponse:
        try:
            return await respond(declared, request, params)
        except Problem as problem:
            if problem.kind not in declared.problems:
                log.error("%s tells of %r, which it doesn't declare", path, problem.kind.name)
            raise

    methods = {"GET", "HEAD"} if method == "get" else {"POST"}
    members = {method: view, "get_methods": lambda self: methods, "__module__": __name__}
    app.page(path, name=f"{function.__module__}.{function.__name__}")(
        type(function.__name__, (View,), members)
    )


async def respond(declared: Page, request: Any, params: dict[str, Any]) -> web.StreamResponse:
    """What a view answers; raises Problem."""
    if declared.method == "post":
        authorize(request, config.token)
    query = read(request.query, declared.query)
    if "query" in declared.hints:
        params = {**params, "query": query}
    if declared.method == "post":
        body = await read_body(request)
        log.info("%s asks for %r", request.remote, request.path)
        if declared.body is not None:
            params = {**params, "body": _decoded(body, declared.body)}
    result = await declared.function(request, **params)
    if isinstance(result, web.StreamResponse):
        return result
    if isinstance(result, Passed):
        return pass_on(result)
    return tagged(request, result) if isinstance(result, Tagged) else answer(result)


def _decoded(body: bytes, wanted: Any) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(NOT_UNDERSTOOD, f"the body is no such JSON object: {error}") from None
