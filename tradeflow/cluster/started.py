"""A Kafka client for as long as a context lasts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol


class _Client(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@contextlib.asynccontextmanager
async def started[Client: _Client](client: Client) -> AsyncIterator[Client]:
    """What `async with client` of aiokafka does, but closed as well where Kafka doesn't answer its start.

    Raises aiokafka's errors."""
    try:
        await client.start()
        yield client
    finally:
        await client.stop()
