"""Binance spot: cryptofeed's parser, with gaps healed book by book and REST snapshots within a budget."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import aiohttp
import msgspec
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance
from cryptofeed.types import OrderBook

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.digits import said
from tradeflow.feeds.source import FeedError, GapError, Sink, describe
from tradeflow.messages import Listing
from tradeflow.settings import Settings

logger = logging.getLogger(__name__)

SNAPSHOT_LEVELS = 1000
KNOWN_LEVELS = 100
"""A snapshot knows the best 1,000 levels a side.  A new one is taken before the price has moved so far that
any of the best 100 could be a level that it didn't contain."""
SNAPSHOT_TRIES = 5
RETRY_DELAY = 0.1
LONGEST_RETRY_DELAY = 4.0
REFRESH_PATIENCE = 1.0
"""Seconds that the updates of a live book may wait for a snapshot."""
REFRESH_PAUSE = 10.0
"""Seconds after it waited in vain."""
KEPT_UPDATES = 10_000
"""Of a book that waits for its snapshot, about a quarter of an hour; of more the oldest go, for the snapshot
that comes in the end is newer."""
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


Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,64}(\.[0-9]{1,64})?\Z")]
Levels = list[tuple[Number, Number]]
Id = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]


class Depth(TypedDict):
    """REST's snapshot."""

    lastUpdateId: Id
    bids: Levels
    asks: Levels


class DepthUpdate(msgspec.Struct):
    """What a `depthUpdate` must be: cryptofeed's parser takes `true` for 1 and never looks at `s`."""

    E: Id
    s: str
    U: Id
    u: Id
    b: Levels
    a: Levels


_depth = msgspec.json.Decoder(Depth)


class BinanceFeed(Binance):  # type: ignore[misc]
    """While a book's snapshot is awaited its updates are kept, and continue it; the other books go on."""

    sink: Sink
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    receipt_time: int

    @classmethod
    def entries(cls, data: Any) -> list[Any]:
        found: list[Any] = data["symbols"]
        return found

    @classmethod
    def listing(cls, entry: Any) -> tuple[str, Listing]:
        filters = {rule["filterType"]: rule for rule in entry["filters"]}
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        return entry["symbol"], Listing(
            kind="spot",
            base=entry["baseAsset"],
            quote=entry["quoteAsset"],
            tick=said(filters.get("PRICE_FILTER", {}).get("tickSize")),
            lot=said(filters.get("LOT_SIZE", {}).get("stepSize")),
            min_notional=said(notional.get("minNotional")),
        )

    def _reset(self) -> None:
        super()._reset()
        self._edges: dict[str, tuple[Decimal, Decimal]] = {}
        """Symbol -> (lowest bid, highest ask) of a snapshot that didn't contain the whole book."""
        self._kept: dict[str, deque[tuple[int, dict[str, Any]]]] = {}
        """Pair -> (receipt time, update), where a snapshot is awaited."""
        self._awaited: dict[str, bool] = {}
        """Pair -> whether its book has a gap, where one is on its way."""
        self._refresh_at = 0.0
        """Monotonic; not before then is a book without a gap made to wait for REST again."""

    async def subscribe(self, conn: Any) -> None:
        """Snapshots at once: a quiet book's first update may be far away.  The address names the streams."""
        self._reset()
        async with asyncio.TaskGroup() as group:
            for pair in {pair for pairs in self.subscription.values() for pair in pairs}:
                group.create_task(self._snapshot(pair))

    async def resync(self, symbol: str) -> None:
        await self._take_anew(self.std_symbol_to_exchange_symbol(symbol), has_gap=True)

    async def _snapshot(self, pair: str) -> None:
        self.receipt_time = time.time_ns()
        await self._adopt(pair, await self._read(pair))

    async def _read(self, pair: str) -> dict[str, Any]:
        """The snapshot at REST; raises FeedError where the budget or the exchange doesn't allow it now."""
        await budget.take()
        url = self.rest_endpoints[0].route("l2book", self.sandbox).format(pair, SNAPSHOT_LEVELS)
        try:
            body = await self.http_conn.read(url)
        except aiohttp.ClientResponseError as error:
            if error.status in (418, 429):
                budget.block(float(error.headers.get("Retry-After", 60) if error.headers else 60))
            raise
        try:
            return dict(_depth.decode(body))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise FeedError(f"unusable snapshot of {pair} ({error!r:.200}): {body!r:.200}") from error

    async def _adopt(self, pair: str, raw: dict[str, Any]) -> None:
        symbol = self.exchange_symbol_to_std_symbol(pair)
        bids, asks = raw["bids"], raw["asks"]
        book = OrderBook(
            self.id,
            symbol,
            max_depth=self.max_depth,
            bids={Decimal(price): Decimal(size) for price, size in bids},
            asks={Decimal(price): Decimal(size) for price, size in asks},
        )
        self._l2_book[symbol] = book
        self.last_update_id[symbol] = raw["lastUpdateId"]
        self._edges.pop(symbol, None)
        if len(bids) >= SNAPSHOT_LEVELS or len(asks) >= SNAPSHOT_LEVELS:
            self._edges[symbol] = (
                Decimal(bids[-1][0] if len(bids) >= SNAPSHOT_LEVELS else 0),
                Decimal(asks[-1][0] if len(asks) >= SNAPSHOT_LEVELS else "Infinity"),
            )
        now = self.receipt_time / 1e9
        await self.book_callback(L2_BOOK, book, now, raw=raw, sequence_number=raw["lastUpdateId"])

    async def _book(self, msg: dict[str, Any], pair: str, timestamp: float) -> None:
        update = msgspec.convert(msg, DepthUpdate)
        if update.s != pair or update.u < update.U:
            raise FeedError(f"an update {update.U} to {update.u} of {update.s} in the stream of {pair}")
        if (kept := self._kept.get(pair)) is not None:
            kept.append((self.receipt_time, msg))
            return
        symbol = self.exchange_symbol_to_std_symbol(pair)
        if msg["U"] > (last := self.last_update_id[symbol]) + 1:
            self._kept[pair] = deque([(self.receipt_time, msg)], KEPT_UPDATES)
            self.sink.gap(symbol, f"updates {last + 1} to {msg['U'] - 1} are missing")
            return
        if update.u < last and self._l2_book[symbol].delta is not None:  # cryptofeed would skip it, for ever
            self.sink.gap(symbol, f"update {update.u} follows {last}")
            return
        await super()._book(msg, pair, timestamp)
        if symbol in self._edges and self._may_refresh() and self._is_near_edge(symbol):
            self.spawn(self._take_anew(pair, has_gap=False))

    async def _take_anew(self, pair: str, *, has_gap: bool) -> None:
        """A snapshot that the kept updates continue; REST may lag behind the stream by some tenths of a second.

        A book without a gap goes on as it was where the exchange doesn't answer soon, for it says live all the
        while.  One with a gap waits as long as it takes: a new connection would need the same answer, for each
        of its books."""
        if pair in self._awaited:
            self._awaited[pair] = self._awaited[pair] or has_gap
            return
        self._awaited[pair] = has_gap
        self._kept.setdefault(pair, deque(maxlen=KEPT_UPDATES))
        delay = RETRY_DELAY
        older = 0
        while True:
            try:
                receipt_time = time.time_ns()
                async with asyncio.timeout(None if self._awaited[pair] else REFRESH_PATIENCE):
                    raw = await self._read(pair)
                is_new = raw["lastUpdateId"] >= self._needed(pair)
                older += not is_new
            except (FeedError, OSError, TimeoutError, aiohttp.ClientError, ValueError, LookupError) as error:
                logger.warning("binance: no snapshot of %s: %s", pair, describe(error))
                raw, is_new = {}, False
            if is_new:
                break
            if not self._awaited[pair]:
                self._refresh_at = time.monotonic() + REFRESH_PAUSE
                break
            if older == SNAPSHOT_TRIES:
                raise GapError(f"{pair}: {older} snapshots were older than update {self._needed(pair)}")
            await asyncio.sleep(max(delay * (0.5 + 0.5 * random.random()), budget.wait()))
            delay = delay if raw else min(2 * delay, LONGEST_RETRY_DELAY)
        del self._awaited[pair]
        kept = self._kept.pop(pair)
        # From here on nothing waits: what the connection reads comes after what was kept.
        if is_new:
            self.receipt_time = receipt_time
            await self._adopt(pair, raw)
        for self.receipt_time, msg in kept:
            await self._book(msg, pair, self.receipt_time / 1e9)

    def _needed(self, pair: str) -> int:
        """The oldest update that a new snapshot may end with."""
        kept = self._kept[pair]
        last = int(self.last_update_id[self.exchange_symbol_to_std_symbol(pair)])
        return max(last, kept[0][1]["U"] - 1) if kept else last

    def _may_refresh(self) -> bool:
        return budget.wait() == 0 and time.monotonic() >= self._refresh_at

    def _is_near_edge(self, symbol: str) -> bool:
        lowest, highest = self._edges[symbol]
        book = self._l2_book[symbol].book
        bid = book.bids.index(min(KNOWN_LEVELS, len(book.bids)) - 1)[0] if len(book.bids) else lowest
        ask = book.asks.index(min(KNOWN_LEVELS, len(book.asks)) - 1)[0] if len(book.asks) else highest
        return bool(bid < lowest or ask > highest)


class BinanceSource(CryptofeedSource):
    resync_patience = float("inf")
    """What a new connection needs is the same REST answer that the book waits for, once for each book."""


def binance(symbols: list[str], settings: Settings) -> BinanceSource:
    rest, ws = settings.endpoint("binance", "rest"), settings.endpoint("binance", "ws")
    if settings.binance_testnet:
        rest, ws = rest or TESTNET_REST, ws or TESTNET_WS
    return BinanceSource("binance", symbols, BinanceFeed, rest=rest, ws=ws)
