"""cryptofeed's own classes at other addresses, in the test's loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols


def relocated(feed_class: type[Feed], rest: str, ws: str) -> type[Feed]:
    """The class at another address; cryptofeed insists on wss://, which is undone at the last moment."""

    async def plain(self: Feed, address: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return address.replace("wss://", "ws://", 1), options

    sockets = [
        dataclasses.replace(
            endpoint, address=ws.replace("ws://", "wss://"), authentication=True, options={"proxy": None}
        )
        for endpoint in feed_class.websocket_endpoints
    ]
    rests = [dataclasses.replace(endpoint, address=rest) for endpoint in feed_class.rest_endpoints]
    namespace = {"websocket_endpoints": sockets, "rest_endpoints": rests, "_ws_authentication": plain}
    return type(feed_class.__name__, (feed_class,), namespace)


@contextlib.asynccontextmanager
async def running_feed(
    feed_class: type[Feed], symbols: list[str], on_book: Callable[..., Any], on_trade: Callable[..., Any]
) -> AsyncIterator[None]:
    """Books and trades go to the callbacks while the context lasts."""
    # Instruments are kept by exchange for the life of the process.
    Symbols.clear()
    handler = FeedHandler(config={"uvloop": False, "log": {"disabled": True}})
    callbacks = {L2_BOOK: on_book, TRADES: on_trade}
    try:
        # The constructor blocks on REST.
        feed = await asyncio.get_running_loop().run_in_executor(
            None, lambda: feed_class(symbols=symbols, channels=[L2_BOOK, TRADES], callbacks=callbacks)
        )
        handler.add_feed(feed)
        handler.run(start_loop=False, install_signal_handlers=False)
        yield
    finally:
        await handler.stop_async()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("ConnectionHandler"):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        Symbols.clear()
