"""Who may change something over HTTP: who knows `TRADEFLOW_TOKEN`."""

from __future__ import annotations

import hmac
import ipaddress

from faust.web import Request
from pydantic import SecretStr

from tradeflow.web.answers import Problem


def authorize(request: Request, token: SecretStr | None) -> None:
    """Raises Problem unless the request bears the token: 403 where there is none, 401 for a wrong one."""
    if token is None:
        raise Problem(
            403,
            "changes are off",
            "this worker takes no requests that change something. To allow them, set TRADEFLOW_TOKEN to a text"
            " that nobody can guess (`openssl rand -hex 32`) and start it again",
        )
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # In constant time: how long it takes tells nothing of how much of it is right.
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not same:
        raise Problem(
            401,
            "not authorized",
            "send the header `Authorization: Bearer …` with the TRADEFLOW_TOKEN of this worker",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on that address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
