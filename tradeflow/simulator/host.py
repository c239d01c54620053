"""An HTTP server on this machine that lasts as long as a context."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from types import TracebackType
from typing import Self

from aiohttp import web


class Host(ABC):
    """Serves an application on 127.0.0.1; its tasks run alongside, and what they raise the context raises.

    `port`: 0 takes a free one, which is known once the context is entered.
    Raises OSError if the port is taken."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    @property
    @abstractmethod
    def endpoints(self) -> dict[str, str]:
        """Environment names and the URLs that point tradeflow here."""

    @abstractmethod
    def application(self) -> web.Application: ...

    def background(self) -> list[Coroutine[None, None, None]]:
        """What runs alongside, for ever."""
        return []

    def closing(self) -> None:  # noqa: B027
        """Before the server stops; by default nothing is left to do."""

    async def run(self) -> None:
        """Wait until a task fails, and raise what failed."""
        await asyncio.gather(asyncio.Event().wait(), *self._tasks)

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        self._tasks = [asyncio.create_task(work) for work in self.background()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            self.closing()
            if self._runner:
                await self._runner.cleanup()
