"""Binance spot: cryptofeed's parser, with gaps healed book by book and REST snapshots within a budget."""

from __future__ import annotations

import asyncio
import logging
import time
from decimal import Decimal
from typing import Any

import aiohttp
from cryptofeed.exchanges import Binance

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.source import FeedError, GapError
from tradeflow.settings import Settings

logger = logging.getLogger(__name__)

SNAPSHOT_LEVELS = 1000
KNOWN_LEVELS = 100
"""A snapshot knows the best 1,000 levels a side.  A new one is taken before the price has moved so far that
any of the best 100 could be a level that it didn't contain."""
SNAPSHOT_TRIES = 5
TESTNET_REST = "https://testnet.binance.vision"
TESTNET_WS = "wss://stream.testnet.binance.vision"


class SnapshotBudget:
    """REST snapshots of this process: a burst of 30, then one a second, half of what Binance allows."""

    def __init__(self, burst: int = 30, per_second: float = 1.0, patience: float = 4.0) -> None:
        """patience: seconds that a caller may be kept waiting; longer, and it is refused."""
        self._burst = burst
        self._per_second = per_second
        self._patience = patience
        self._ready = float("-inf")
        """When the budget will be (or was) completely unused."""
        self._blocked_until = float("-inf")

    def wait(self) -> float:
        """Seconds until a snapshot may be taken."""
        now = time.monotonic()
        full = max(self._ready, now) - now + 1 / self._per_second
        return max(0.0, full - self._burst / self._per_second, self._blocked_until - now)

    async def take(self) -> None:
        """Raises FeedError where the wait would be too long."""
        wait = self.wait()
        if wait > self._patience:
            raise FeedError(f"no REST snapshot allowed for another {wait:.0f} s")
        self._ready = max(self._ready, time.monotonic()) + 1 / self._per_second
        await asyncio.sleep(wait)

    def block(self, seconds: float) -> None:
        """The exchange has asked for a pause."""
        self._blocked_until = time.monotonic() + seconds


budget = SnapshotBudget()


class BinanceFeed(Binance):  # type: ignore[misc]
    def _reset(self) -> None:
        super()._reset()
        self._edges: dict[str, tuple[Decimal, Decimal]] = {}
        """Symbol -> (lowest bid, highest ask) of a snapshot that didn't contain the whole book."""

    async def subscribe(self, conn: Any) -> None:
        """Snapshots at once: a quiet book's first update may be far away.  The address names the streams."""
        self._reset()
        async with asyncio.TaskGroup() as group:
            for pair in {pair for pairs in self.subscription.values() for pair in pairs}:
                group.create_task(self._snapshot(pair))

    async def _snapshot(self, pair: str) -> None:
        await budget.take()
        try:
            # Its receipt, like that of any frame, is before what follows from it.
            self.receipt_time = time.time_ns()
            await super()._snapshot(pair)
        except aiohttp.ClientResponseError as error:
            if error.status in (418, 429):
                budget.block(float(error.headers.get("Retry-After", 60) if error.headers else 60))
            raise
        symbol = self.exchange_symbol_to_std_symbol(pair)
        raw = self._l2_book[symbol].raw
        bids, asks = raw["bids"], raw["asks"]
        self._edges.pop(symbol, None)
        if len(bids) >= SNAPSHOT_LEVELS or len(asks) >= SNAPSHOT_LEVELS:
            self._edges[symbol] = (
                Decimal(bids[-1][0] if len(bids) >= SNAPSHOT_LEVELS else 0),
                Decimal(asks[-1][0] if len(asks) >= SNAPSHOT_LEVELS else "Infinity"),
            )

    async def _book(self, msg: dict[str, Any], pair: str, timestamp: float) -> None:
        symbol = self.exchange_symbol_to_std_symbol(pair)
        if msg["U"] > self.last_update_id.get(symbol, -1) + 1:
            await self._close_gap(msg, pair, symbol)
        await super()._book(msg, pair, timestamp)
        if symbol in self._edges and budget.wait() == 0 and self._is_near_edge(symbol):
            await self._snapshot(pair)

    async def _close_gap(self, msg: dict[str, Any], pair: str, symbol: str) -> None:
        """A snapshot that the update continues; REST may lag behind the stream by some tenths of a second."""
        logger.warning(
            "binance %s: updates %s to %s are missing", symbol, self.last_update_id.get(symbol), msg["U"]
        )
        for _ in range(SNAPSHOT_TRIES):
            await self._snapshot(pair)
            if msg["U"] <= self.last_update_id[symbol] + 1:
                return
            await asyncio.sleep(0.1)
        raise GapError(f"{symbol}: {SNAPSHOT_TRIES} snapshots were older than update {msg['U']}")

    def _is_near_edge(self, symbol: str) -> bool:
        lowest, highest = self._edges[symbol]
        book = self._l2_book[symbol].book
        bid = book.bids.index(min(KNOWN_LEVELS, len(book.bids)) - 1)[0] if len(book.bids) else lowest
        ask = book.asks.index(min(KNOWN_LEVELS, len(book.asks)) - 1)[0] if len(book.asks) else highest
        return bool(bid < lowest or ask > highest)


def binance(symbols: list[str], settings: Settings) -> CryptofeedSource:
    rest, ws = settings.endpoint("binance", "rest"), settings.endpoint("binance", "ws")
    if settings.binance_testnet:
        rest, ws = rest or TESTNET_REST, ws or TESTNET_WS
    return CryptofeedSource("binance", symbols, BinanceFeed, rest=rest, ws=ws)
