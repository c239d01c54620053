"""The web server: Faust's, with limits on what a client may send and on how slowly it may read."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from aiohttp import web, web_response
from faust.web.drivers.aiohttp import Web
from mode import Service

MAX_BODY = 16 * 1024
"""Bytes that are read of a request's body; no view needs more."""
IDLE_TIMEOUT = 30.0
"""Seconds for a request to arrive in full, and between two of one connection."""
READ_TIMEOUT = 30.0
"""Seconds within which a client must have read something of what waits for it, beyond the kernel's buffer."""

# Else every answer, those to what isn't HTTP included, names the versions of Python and aiohttp.
web_response.SERVER_SOFTWARE = "tradeflow"  # type: ignore[attr-defined]


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer: it is what it says, and it is old in a moment."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


class Server(Web):
    """Faust's web driver.  Who reads too slowly is cut off: what waits for a client is in memory."""

    production_blueprints: ClassVar[Any] = []  # Faust's own page at /

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.web_app.on_response_prepare.append(harden)
        self._runner = web.AppRunner(self.web_app, access_log=None, keepalive_timeout=IDLE_TIMEOUT)
        self._unread: dict[asyncio.Transport, tuple[int, float]] = {}
        """By connection: the least that has waited for the client, bytes, and since when."""

    @Service.task
    async def _cut_off_slow_clients(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            if (server := self._runner.server) is not None:
                self.check_clients([c.transport for c in server.connections if c.transport], loop.time())
            await self.sleep(1.0)

    def check_clients(self, transports: list[asyncio.Transport], now: float) -> None:
        """Cut off those of which nothing was read for READ_TIMEOUT; `now` in seconds, monotonic."""
        known, self._unread = self._unread, {}
        for transport in transports:
            size = transport.get_write_buffer_size()
            before, since = known.get(transport, (size + 1, now))
            if not size:
                continue
            if size >= before and now - since >= READ_TIMEOUT:
                transport.abort()
                continue
            self._unread[transport] = (size, now) if size < before else (before, since)
