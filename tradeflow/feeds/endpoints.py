"""cryptofeed's exchange classes at other addresses: endpoints, REST calls that time out, symbol tables."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from cryptofeed.connection import HTTPSync
from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols

from tradeflow.feeds.source import FeedError

logger = logging.getLogger(__name__)

REST_TIMEOUT = 8.0
INSTRUMENTS_AGE = 3600.0

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

_loaded: dict[tuple[str, str], tuple[float, dict[str, str], dict[str, Any]]] = {}


async def load_instruments(feed_class: type[Feed]) -> None:
    """Fill cryptofeed's symbol table for the class, from the exchange at most once an hour and endpoint.

    cryptofeed would do it in the constructor, blocking, and it keeps one table for a class id, whatever the
    endpoint.  Raises FeedError with the reason, unless older instruments are known."""
    key = (feed_class.id, feed_class.rest_endpoints[0].address)
    if key not in _loaded or time.monotonic() - _loaded[key][0] > INSTRUMENTS_AGE:
        try:
            symbols, info = await asyncio.to_thread(_read_instruments, feed_class)
        except Exception as error:
            if key not in _loaded:
                raise FeedError(f"can't read the instruments at {key[1]}: {error}") from error
            logger.warning("%s: instruments at %s stay an old copy: %s", *key, error)
        else:
            _loaded[key] = (time.monotonic(), symbols, info)
    Symbols.set(feed_class.id, *_loaded[key][1:])


def _read_instruments(feed_class: type[Feed]) -> tuple[dict[str, str], dict[str, Any]]:
    urls: list[str] = []
    for endpoint in feed_class.rest_endpoints:
        routes = feed_class._symbol_endpoint_prepare(endpoint)
        urls.extend([routes] if isinstance(routes, str) else routes)
    data = [feed_class.http_sync.read(url, json=True, uuid=feed_class.id) for url in urls]
    symbols, info = feed_class._parse_symbol_data(data if len(data) > 1 else data[0])
    return symbols, info
