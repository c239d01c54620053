"""cryptofeed's exchange classes at other addresses: endpoints, REST calls that time out."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from cryptofeed.connection import HTTPSync
from cryptofeed.feed import Feed

REST_TIMEOUT = 8.0

# No pings by the library: ours prove that a quiet connection is alive (cryptofeed_source.py).
WEBSOCKET_OPTIONS = {"ping_interval": None, "open_timeout": 8, "close_timeout": 1}


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def adapt(feed_class: type[Feed], rest: str | None, ws: str | None) -> type[Feed]:
    """The same parser with our WebSocket options, REST calls that time out and, if given, other endpoints."""

    async def plain(self: Feed, address: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return address.replace("wss://", "ws://", 1), options

    sockets = []
    for endpoint in feed_class.websocket_endpoints:
        address = ws or endpoint.address
        options = {
            **endpoint.options,
            **WEBSOCKET_OPTIONS,
            **({"proxy": None} if is_loopback(address) else {}),
        }
        is_plain = address.startswith(
            "ws://"
        )  # cryptofeed insists on wss://: `plain` undoes it at the last moment
        sockets.append(
            dataclasses.replace(
                endpoint,
                address="wss://" + address.removeprefix("ws://") if is_plain else address,
                authentication=is_plain or endpoint.authentication,
                options=options,
            )
        )
    namespace = {
        "websocket_endpoints": sockets,
        "rest_endpoints": [
            dataclasses.replace(endpoint, address=rest or endpoint.address)
            for endpoint in feed_class.rest_endpoints
        ],
        "http_sync": _TimedHTTP(),
    }
    if ws is not None and ws.startswith("ws://"):
        namespace["_ws_authentication"] = plain
    return type(feed_class.__name__, (feed_class,), namespace)


class _TimedHTTP(HTTPSync):  # type: ignore[misc]
    """cryptofeed's blocking client never times out, and goes through a proxy to loopback."""

    def read(
        self,
        address: str,
        params: Any = None,
        headers: Any = None,
        json: bool = False,
        text: bool = True,
        uuid: Any = None,
    ) -> Any:
        with requests.Session() as session:
            session.trust_env = not is_loopback(address)
            response = session.get(address, headers=headers, params=params, timeout=REST_TIMEOUT)
        if json and response.ok:
            well_formed(response.content)
        return self.process_response(response, address, json=json, text=text, uuid=uuid)


well_formed = msgspec.json.Decoder(msgspec.Raw).decode
"""Raises for what is no JSON, or is nested so deeply that cryptofeed's parser would overflow the stack."""
