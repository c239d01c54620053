"""cryptofeed's own classes, unmodified but for the address, against simulated and recorded exchanges."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from cryptofeed.exchanges import OKX, Binance, Bitmex, Kraken
from stock_feed import relocated, running_feed

from tradeflow.simulator.recorded import RecordedExchange

SYMBOLS = {
    Binance: ["BTC-USDT", "ETH-USDT", "SOL-USDT", "ADA-USDT"],
    Bitmex: ["BTC-USD-PERP", "ETH-USD-PERP", "SOL-USD-PERP"],
}

RECORDINGS = Path(
    os.environ.get("TRADEFLOW_RECORDINGS") or Path(__file__).parents[3] / "shared" / "recordings"
)


@pytest.fixture(scope="module")
def endpoints() -> Iterator[dict[str, str]]:
    """A simulator in a process of its own."""
    command = [sys.executable, "-m", "tradeflow.simulator", "--exchanges", "binance,bitmex", "--rate", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = {}
        while "TRADEFLOW_SIMULATOR_URL" not in lines:
            name, _, url = process.stdout.readline().strip().partition("=")
            lines[name] = url
        yield lines
        process.terminate()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def version(book) -> str:
    """By sequence; where there is none by time, which BitMEX's class keeps in the raw frame only."""
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

    rest, ws = (endpoints[f"TRADEFLOW_{feed_class.id}_{kind}_URL"] for kind in ("REST", "WS"))
    async with running_feed(relocated(feed_class, rest, ws), SYMBOLS[feed_class], on_book, on_trade):
        async with asyncio.timeout(60):
            while len(copies) < 150:
                await asyncio.sleep(0.1)

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


@pytest.mark.skipif(
    not (RECORDINGS / "BINANCE.0").exists(),
    reason=f"no recorded frames in {RECORDINGS}: not part of the project, see TRADEFLOW_RECORDINGS",
)
@pytest.mark.recordings
@pytest.mark.parametrize(
    ("feed_class", "counts"),
    [
        # snapshots, deltas, levels in them, trades (with those that the subscription repeats)
        (Binance, (4, 172, 408, 2)),
        (Kraken, (10, 4269, 4272, 10)),
        (Bitmex, (10, 1969, 2587, 27)),
        (OKX, (3, 287, 6135, 74)),
    ],
)
async def test_stock_class_on_a_recorded_exchange(feed_class, counts):
    """The counts are what cryptofeed's own playback of the same files gives."""
    name = feed_class.id
    for line in (RECORDINGS / f"{name}.0").read_text().splitlines():
        if line.startswith("configuration: "):
            symbols = json.loads(line.split(": ", 1)[1])["l2_book"]
    snapshots = deltas = levels = trades = 0

    async def on_book(book, receipt_time):
        nonlocal snapshots, deltas, levels
        if book.delta is None:
            snapshots += 1
        else:
            deltas += 1
            levels += len(book.delta["bid"]) + len(book.delta["ask"])

    async def on_trade(trade, receipt_time):
        nonlocal trades
        trades += 1

    async with RecordedExchange(RECORDINGS, name) as exchange:
        local = relocated(feed_class, exchange.rest_url, exchange.ws_url)
        async with running_feed(local, symbols, on_book, on_trade):
            before = None
            async with asyncio.timeout(60):
                while (snapshots, deltas, levels, trades) != before or not (deltas and trades):
                    before = snapshots, deltas, levels, trades
                    await asyncio.sleep(1.0)
    assert (snapshots, deltas, levels, trades) == counts
