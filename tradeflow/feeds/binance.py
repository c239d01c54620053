"""Binance spot: books by our own parser, gaps healed book by book, REST snapshots within a budget; the rest is
cryptofeed's."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

import aiohttp
import msgspec
from cryptofeed.exchanges import Binance

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.digits import said
from tradeflow.feeds.snapshot_budget import SnapshotBudget
from tradeflow.feeds.source import FeedError, GapError, Sink, describe
from tradeflow.feeds.view import View
from tradeflow.messages import Level, Listing
from tradeflow.settings import Settings

logger = logging.getLogger(__name__)

SNAPSHOT_LEVELS = 1000
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


budget = SnapshotBudget()


Id = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]


class Depth(msgspec.Struct):
    """REST's snapshot."""

    last: Id = msgspec.field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


class DepthUpdate(msgspec.Struct):
    e: Literal["depthUpdate"]
    E: Id
    s: str
    U: Id
    u: Id
    b: list[Level]
    a: list[Level]


class Frame(msgspec.Struct):
    """Of combined streams; an answer to a request has no stream."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_depth = msgspec.json.Decoder(Depth)
_frame = msgspec.json.Decoder(Frame)
_update = msgspec.json.Decoder(DepthUpdate)


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
        self._symbols: dict[str, str] = {}
        """Pair (as the exchange writes it) -> canonical symbol, of each that is subscribed."""
        self._last: dict[str, int] = {}
        """Pair -> number of the last update in its book."""
        self._fresh: set[str] = set()
        """Pairs with no update since their snapshot: older ones may still be on their way."""
        self._views: dict[str, View] = {}
        """Pair -> what is known, where a snapshot didn't contain the whole book."""
        self._kept: dict[str, deque[tuple[int, DepthUpdate]]] = {}
        """Pair -> (receipt time, update), where a snapshot is awaited."""
        self._awaited: dict[str, bool] = {}
        """Pair -> whether its book has a gap, where one is on its way."""
        self._refresh_at = 0.0
        """Monotonic; not before then is a book without a gap made to wait for REST again."""

    async def subscribe(self, conn: Any) -> None:
        """Snapshots at once: a quiet book's first update may be far away.  The address names the streams."""
        self._reset()
        pairs = {pair for pairs in self.subscription.values() for pair in pairs}
        self._symbols = {pair: self.exchange_symbol_to_std_symbol(pair) for pair in pairs}
        async with asyncio.TaskGroup() as group:
            for pair in pairs:
                group.create_task(self._snapshot(pair))

    async def message_handler(self, msg: str, conn: Any, timestamp: float) -> None:
        frame = _frame.decode(msg)
        pair, _, channel = frame.stream.partition("@")
        if channel.startswith("depth"):
            self._on_update(pair.upper(), _update.decode(frame.data))
        else:
            await super().message_handler(msg, conn, timestamp)

    async def resync(self, symbol: str) -> None:
        await self._take_anew(self.std_symbol_to_exchange_symbol(symbol), has_gap=True)

    async def _snapshot(self, pair: str) -> None:
        self.receipt_time = time.time_ns()
        self._adopt(pair, await self._read(pair))

    async def _read(self, pair: str) -> Depth:
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
            return _depth.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise FeedError(f"unusable snapshot of {pair} ({error!r:.200}): {body!r:.200}") from error

    def _adopt(self, pair: str, depth: Depth) -> None:
        self._last[pair] = depth.last
        self._fresh.add(pair)
        self._views.pop(pair, None)
        if max(len(depth.bids), len(depth.asks)) >= SNAPSHOT_LEVELS:
            self._views[pair] = View(depth.bids, depth.asks, SNAPSHOT_LEVELS)
        self._deliver(pair, depth.bids, depth.asks, depth.last, snapshot=True)

    def _on_update(self, pair: str, update: DepthUpdate) -> None:
        if update.s != pair or update.u < update.U:
            raise FeedError(f"an update {update.U} to {update.u} of {update.s} in the stream of {pair}")
        if (kept := self._kept.get(pair)) is not None:
            kept.append((self.receipt_time, update))
            return
        last = self._last[pair]
        if last + 1 < update.U:
            self._kept[pair] = deque([(self.receipt_time, update)], KEPT_UPDATES)
            self.sink.gap(self._symbols[pair], f"updates {last + 1} to {update.U - 1} are missing")
            return
        if update.u <= last:  # the snapshot has it, or it is a repetition
            if update.u < last and pair not in self._fresh:
                self.sink.gap(self._symbols[pair], f"update {update.u} follows {last}")
            return
        self._last[pair] = update.u
        self._fresh.discard(pair)
        self._deliver(pair, update.b, update.a, update.u, exchange_time=update.E / 1000)
        view = self._views.get(pair)
        if view is not None and view.update(update.b, update.a) and self._may_refresh():
            self.spawn(self._take_anew(pair, has_gap=False))

    def _deliver(
        self,
        pair: str,
        bids: list[Level],
        asks: list[Level],
        number: int,
        *,
        snapshot: bool = False,
        exchange_time: float | None = None,
    ) -> None:
        self.sink.book(
            self._symbols[pair],
            snapshot=snapshot,
            bids=bids,
            asks=asks,
            exchange_time=exchange_time,
            receipt_time=self.receipt_time,
            exchange_sequence=number,
        )

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
        depth: Depth | None = None
        while True:
            try:
                receipt_time = time.time_ns()
                async with asyncio.timeout(None if self._awaited[pair] else REFRESH_PATIENCE):
                    answer = await self._read(pair)
            except (FeedError, OSError, TimeoutError, aiohttp.ClientError, ValueError, LookupError) as error:
                logger.warning("binance: no snapshot of %s: %s", pair, describe(error))
                delay = min(2 * delay, LONGEST_RETRY_DELAY)
            else:
                if answer.last >= self._needed(pair):
                    depth = answer
                    break
                older += 1
            if not self._awaited[pair]:
                self._refresh_at = time.monotonic() + REFRESH_PAUSE
                break
            if older == SNAPSHOT_TRIES:
                raise GapError(f"{pair}: {older} snapshots were older than update {self._needed(pair)}")
            await asyncio.sleep(max(delay * (0.5 + 0.5 * random.random()), budget.wait()))
        del self._awaited[pair]
        kept = self._kept.pop(pair)
        # From here on nothing waits: what the connection reads comes after what was kept.
        if depth is not None:
            self.receipt_time = receipt_time
            self._adopt(pair, depth)
        for self.receipt_time, update in kept:
            self._on_update(pair, update)

    def _needed(self, pair: str) -> int:
        """The oldest update that a new snapshot may end with."""
        kept = self._kept[pair]
        last = self._last[pair]
        return max(last, kept[0][1].U - 1) if kept else last

    def _may_refresh(self) -> bool:
        return budget.wait() == 0 and time.monotonic() >= self._refresh_at


class BinanceSource(CryptofeedSource):
    resync_patience = float("inf")
    """What a new connection needs is the same REST answer that the book waits for, once for each book."""


def binance(symbols: list[str], settings: Settings) -> BinanceSource:
    rest, ws = settings.endpoint("binance", "rest"), settings.endpoint("binance", "ws")
    if settings.binance_testnet:
        rest, ws = rest or TESTNET_REST, ws or TESTNET_WS
    return BinanceSource("binance", symbols, BinanceFeed, rest=rest, ws=ws)
