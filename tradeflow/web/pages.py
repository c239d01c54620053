"""How a function becomes a web page: its result is encoded, its Problem told; who changes something is checked."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp.web import StreamResponse
from faust.web import Request, Response, View

from tradeflow.web.access import authorize, read_body
from tradeflow.web.answers import Passed, Problem, answer, pass_on, problem
from tradeflow.wiring import app, config

log = logging.getLogger(__name__)

Handler = Callable[..., Awaitable[Any]]


def page(path: str, method: str = "get") -> Callable[[Handler], Handler]:
    """Register a view; its function returns what is to be encoded, a Response, or raises Problem."""

    def decorate(function: Handler) -> Handler:
        @functools.wraps(function)
        async def view(self: View, request: Request, **params: str) -> Response:
            try:
                result = await function(request, **params)
            except Problem as error:
                return problem(self, error)
            if isinstance(result, Passed):
                return pass_on(self, result)
            if isinstance(result, StreamResponse):
                return cast(Response, result)
            return answer(self, result)

        view_class = type(function.__name__, (View,), {method: view, "__module__": __name__})
        app.page(path, name=f"{function.__module__}.{function.__name__}")(view_class)
        return function

    return decorate


def changes_state(path: str) -> Callable[[Handler], Handler]:
    """Register a POST view that changes something: only for who bears `TRADEFLOW_TOKEN`, and logged."""

    def decorate(function: Handler) -> Handler:
        @functools.wraps(function)
        async def checked(request: Any, **params: str) -> Any:
            authorize(request, config.token)
            await read_body(request)
            log.info("%s asks for %r", request.remote, request.path)
            return await function(request, **params)

        page(path, "post")(checked)
        return function

    return decorate
