"""The views that describe the views: the OpenAPI document, and what each kind of problem means."""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache
from importlib.metadata import version
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from tradeflow.web.answers import Tagged
from tradeflow.web.openapi import document
from tradeflow.web.pages import PAGES, page
from tradeflow.web.problems import KINDS, UNKNOWN_PROBLEM, Problem
from tradeflow.web.served import OpenApi, ProblemKind


@page("/openapi.json")
async def openapi(request: web.Request) -> Tagged[OpenApi]:
    """This interface, as an OpenAPI 3.1 document."""
    made = await asyncio.to_thread(described)  # it reads sources: no book waits for that
    return Tagged(msgspec.Raw(made), hashlib.sha256(made).hexdigest()[:16])  # type: ignore[arg-type]


@cache
def described() -> bytes:
    """The document as JSON; once all views are registered."""
    return msgspec.json.encode(document(PAGES, version("tradeflow")))


@page("/problems/{name}", UNKNOWN_PROBLEM)
async def problem(
    request: web.Request, name: Annotated[str, Meta(examples=["unknown-symbol"])]
) -> ProblemKind:
    """What the `type` of an error means."""
    kind = KINDS.get(name)
    if kind is None:
        raise Problem(UNKNOWN_PROBLEM, f"no problem {name!r} is told here", known=sorted(KINDS))
    return ProblemKind(kind.type, kind.title, kind.status, kind.meaning)
