"""Who may change something over HTTP, and what may be sent for it: who knows `TRADEFLOW_TOKEN`, and not much."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from typing import Any

from aiohttp.web import HTTPRequestEntityTooLarge
from faust.web import Request
from pydantic import SecretStr

from tradeflow.web.problems import BODY_TOO_LARGE, BODY_TOO_SLOW, CHANGES_OFF, NOT_AUTHORIZED, Problem
from tradeflow.web.server import IDLE_TIMEOUT, MAX_BODY


def authorize(request: Request, token: SecretStr | None) -> None:
    """Raises Problem unless the request bears the token: 403 where there is none, 401 for a wrong one."""
    if token is None:
        raise Problem(
            CHANGES_OFF,
            "this worker takes no requests that change something. To allow them, set TRADEFLOW_TOKEN to a text"
            " that nobody can guess (`openssl rand -hex 32`) and start it again",
        )
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # In constant time: how long it takes tells nothing of how much of it is right.
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not same:
        raise Problem(
            NOT_AUTHORIZED,
            "send the header `Authorization: Bearer …` with the TRADEFLOW_TOKEN of this worker",
        )


async def read_body(request: Any, timeout: float = IDLE_TIMEOUT) -> bytes:
    """The body, of at most MAX_BODY bytes, within `timeout` seconds; else raises Problem."""
    try:
        async with asyncio.timeout(timeout):
            return bytes(await request.read())
    except TimeoutError:
        raise Problem(
            BODY_TOO_SLOW, f"the body did not arrive within {timeout:.0f} s; send it at once"
        ) from None
    except HTTPRequestEntityTooLarge:
        detail = f"at most {MAX_BODY} bytes of body are taken"
        raise Problem(BODY_TOO_LARGE, detail, bytes=MAX_BODY) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on that address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
