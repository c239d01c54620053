"""cryptofeed's own classes, unmodified but for the address, maintain the simulators' true books."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges import Binance, Bitmex
from cryptofeed.symbols import Symbols

SYMBOLS = {
    Binance: ["BTC-USDT", "ETH-USDT", "SOL-USDT", "ADA-USDT"],
    Bitmex: ["BTC-USD-PERP", "ETH-USD-PERP", "SOL-USD-PERP"],
}


@pytest.fixture(scope="module")
def endpoints() -> Iterator[dict[str, str]]:
    """A simulator in a process of its own: cryptofeed's constructor blocks on REST."""
    command = [sys.executable, "-m", "tradeflow.simulator", "--exchanges", "binance,bitmex", "--rate", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = {}
        while "TRADEFLOW_SIMULATOR_URL" not in lines:
            name, _, url = process.stdout.readline().strip().partition("=")
            lines[name] = url
        yield lines
        process.terminate()


@pytest.fixture(autouse=True)
def own_symbols(monkeypatch) -> Iterator[None]:
    """cryptofeed keeps instruments by exchange for the life of the process."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Symbols.clear()
    yield
    Symbols.clear()


def at(feed_class: type, endpoints: dict[str, str]) -> type:
    """The class at the simulator's address; cryptofeed insists on wss://, undone at the last moment."""
    name = feed_class.id
    rest, ws = endpoints[f"TRADEFLOW_{name}_REST_URL"], endpoints[f"TRADEFLOW_{name}_WS_URL"]

    async def plain(self, address, options):
        return address.replace("wss://", "ws://", 1), options

    return type(
        feed_class.__name__,
        (feed_class,),
        {
            "websocket_endpoints": [
                WebsocketEndpoint(ws.replace("ws://", "wss://"), authentication=True, options={"proxy": None})
            ],
            "rest_endpoints": [RestEndpoint(rest, routes=feed_class.rest_endpoints[0].routes)],
            "_ws_authentication": plain,
        },
    )


def version(book) -> str:
    """By sequence; where there is none by time, which BitMEX's class loses but for the raw frame."""
    if book.sequence_number is not None:
        return f"sequence={book.sequence_number}"
    return f"time={round(book.raw['data'][0]['timestamp'].timestamp() * 1e9)}"


@pytest.mark.parametrize("feed_class", [Binance, Bitmex])
async def test_stock_class_maintains_the_true_book(feed_class, endpoints):
    copies: list[tuple[str, str, dict, dict]] = []
    """Symbol, which version, bids, asks."""
    seen: Counter[str] = Counter()
    trades: list = []

    async def on_book(book, receipt_time):
        seen[book.symbol] += 1
        if seen[book.symbol] % 5 == 1:
            copies.append((book.symbol, version(book), book.book.bids.to_dict(), book.book.asks.to_dict()))

    async def on_trade(trade, receipt_time):
        trades.append(trade)

    local = at(feed_class, endpoints)
    handler = FeedHandler(config={"uvloop": False, "log": {"disabled": True}})
    feed = await asyncio.get_running_loop().run_in_executor(
        None,
        lambda: local(
            symbols=SYMBOLS[feed_class],
            channels=[L2_BOOK, TRADES],
            callbacks={L2_BOOK: on_book, TRADES: on_trade},
        ),
    )
    handler.add_feed(feed)
    handler.run(start_loop=False, install_signal_handlers=False)
    try:
        async with asyncio.timeout(60):
            while len(copies) < 150:
                await asyncio.sleep(0.1)
    finally:
        await handler.stop_async()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("ConnectionHandler"):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async with aiohttp.ClientSession() as session:
        for symbol, which, bids, asks in copies[:150]:
            url = f"{endpoints['TRADEFLOW_SIMULATOR_URL']}/truth/{feed_class.id.lower()}/{symbol}?{which}"
            async with session.get(url) as response:
                truth = await response.json()
            ours = [
                [
                    [format(price.normalize(), "f"), format(size.normalize(), "f")]
                    for price, size in side.items()
                ]
                for side in (bids, asks)
            ]
            assert ours == [truth["bids"], truth["asks"]], f"{symbol} {which}"
            assert len(truth["bids"]) > 100
    assert set(seen) == set(SYMBOLS[feed_class])
    assert {trade.side for trade in trades} == {"buy", "sell"}
