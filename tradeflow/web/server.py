"""The web server: Faust's, with limits on what a client may send and on how slowly it may read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiohttp import web, web_protocol, web_response
from aiohttp.hdrs import ALLOW
from faust.web.drivers.aiohttp import Web
from mode import Service

from tradeflow.web.answers import told, told_by_status
from tradeflow.web.problems import FAILED, UNKNOWN_PATH, WRONG_METHOD, Problem

log = logging.getLogger(__name__)

MAX_BODY = 16 * 1024
"""Bytes that are read of a request's body; no view needs more."""
IDLE_TIMEOUT = 30.0
"""Seconds for a request to arrive in full, and between two of one connection."""
READ_TIMEOUT = 30.0
"""Seconds within which a client must have read something of what waits for it, beyond the kernel's buffer."""

# Else every answer, those to what isn't HTTP included, names the versions of Python and aiohttp.
web_response.SERVER_SOFTWARE = "tradeflow"  # type: ignore[attr-defined]


def refuse(
    self: Any,
    request: web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> web.StreamResponse:
    """The answer to what can't be read as HTTP, in that form too; aiohttp's would log a traceback of each."""
    if request.writer.output_size > 0:
        raise ConnectionError("an answer has begun already: there can't be another")
    if status >= 500:
        log.error("a request of %s failed", request.remote, exc_info=exc)
    else:
        log.info("%s sent what is no request: %s", request.remote, type(exc).__name__)
    answer = told_by_status(status)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.force_close()
    return answer


web_protocol.RequestHandler.handle_error = refuse  # type: ignore[method-assign]


@web.middleware
async def tell_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error in one form; of one that nobody has thought of the log has the traceback, not the answer."""
    try:
        return await handler(request)
    except Problem as problem:
        return told(problem)
    except web.HTTPNotFound:
        return told(Problem(UNKNOWN_PATH, f"there is no {request.path}; /openapi.json lists what there is"))
    except web.HTTPMethodNotAllowed as error:
        allowed = sorted(error.allowed_methods)
        detail = f"{request.path} takes {' and '.join(allowed)} only, not {request.method}"
        answer = told(Problem(WRONG_METHOD, detail, allowed=allowed))
        answer.headers[ALLOW] = ", ".join(allowed)
        return answer
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return told_by_status(error.status)
    except ConnectionError:  # nobody is there to be told
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        detail = "a mistake in the program; the worker's log has it: please report it with what you asked"
        return told(Problem(FAILED, detail))


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer: it is what it says, and it is old in a moment."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


class Server(Web):
    """Faust's web driver.  Who reads too slowly is cut off: what waits for a client is in memory."""

    production_blueprints: ClassVar[Any] = []  # Faust's own page at /

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.web_app.middlewares.append(tell_problems)
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
