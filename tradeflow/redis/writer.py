"""`RedisWriter`: keeps the top of every book that this worker owns in Redis, for readers outside.

Nothing waits for it, and nothing is queued for it: some times a second it looks which books have another top, and
writes those.  While Redis is away nothing is kept; when it is back, what is true then is written.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mode import Service
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from tables.order_books import OrderBook
from tradeflow.market import Market
from tradeflow.masking import masked
from tradeflow.redis.tops import WRITE, encoded, fields_of, key_of
from tradeflow.web.freshness import of_book

log = logging.getLogger(__name__)

TIMEOUT = 2.0
"""Seconds that Redis may take to answer, or to let itself be connected to."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before the next try after failed ones, doubling; half of it by chance."""
REFRESHES = 5
"""How often a book that stays as it is is written within its lifetime."""
BATCH = 200
"""Books that one call writes: Redis does nothing else meanwhile."""
RESULTS = ("written", "older", "late")


class _Due(NamedTuple):
    key: str
    shown: tuple[Any, ...]
    value: bytes


class RedisWriter(Service):
    """`url`: checked by the settings; `owned`: the markets of this worker, by partition; `prefix`: of the keys.

    `interval`: seconds between two looks at the books; `lifetime`: seconds after which a book that isn't written any
    more is gone."""

    def __init__(
        self,
        url: str,
        owned: Callable[[], Mapping[int, Market]],
        *,
        prefix: str,
        worker: str,
        interval: float = 0.05,
        lifetime: float = 5.0,
    ) -> None:
        super().__init__()
        self.writes = Counter[str](dict.fromkeys(RESULTS, 0))
        """Books sent, by what Redis did with them."""
        self.errors = 0
        """Calls that failed."""
        self.connected = False
        """Whether the last call was answered."""
        self._url = url
        self._owned = owned
        self._prefix, self._worker = prefix, worker
        self._interval, self._lifetime = interval, lifetime
        self._answered = time.monotonic()
        self._known: dict[str, tuple[tuple[Any, ...], float]] = {}
        """What Redis has of each book, and since when."""
        address = urlsplit(url)
        self._place = f"Redis at {address.hostname}:{address.port or 6379}"

    def age(self) -> float:
        """Seconds since Redis last took what there was to write."""
        return time.monotonic() - self._answered

    @Service.task
    async def _keep_writing(self) -> None:
        client = Redis.from_url(
            self._url,
            protocol=2,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # what failed is out of date by the next try
            decode_responses=True,
        )
        try:
            pause = FIRST_PAUSE
            while not self.should_stop:
                try:
                    await self._write_news(client)
                except (RedisError, OSError, TimeoutError) as error:
                    self._failed(error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1))
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    self._succeeded()
                    pause = FIRST_PAUSE
                    await asyncio.sleep(self._interval)
        finally:
            await client.aclose()

    async def _write_news(self, client: Redis) -> None:
        if not self.connected:
            await client.ping()
        now = time.time_ns()
        for batch in itertools.batched(list(self._due(now)), BATCH):
            counts = await client.eval(
                WRITE,
                len(batch),
                *(due.key for due in batch),
                round(self._lifetime * 1000),
                now // 1_000_000,
                *(due.value for due in batch),
            )
            self._count(dict(zip(RESULTS, counts, strict=True)))
            at = time.monotonic()
            self._known.update({due.key: (due.shown, at) for due in batch})

    def _due(self, now: int) -> Iterator[_Due]:
        """Books with another top than Redis has, and those that it would forget."""
        refreshed = time.monotonic() - self._lifetime / REFRESHES
        for partition, market in self._owned().items():
            for book in market.books.values():
                state, reason = of_book(
                    book.state, book.reason, book.heard, market.event_time, now, book.silence_ns
                )
                key, shown = key_of(self._prefix, book.exchange, book.symbol), _shown(state, book)
                known = self._known.get(key)
                if known is None or known[0] != shown or known[1] <= refreshed:
                    fields = fields_of(book, state, reason, market.event_time, now, partition, self._worker)
                    yield _Due(key, shown, encoded(fields))

    def _count(self, counts: Mapping[str, int]) -> None:
        if counts["late"] and not self.writes["late"]:
            log.warning(
                "%s had a write more than %g s after it was made: it was frozen, or its clock and this worker's differ",
                self._place,
                self._lifetime,
            )
        self.writes.update(counts)

    def _succeeded(self) -> None:
        if not self.connected:
            log.info("%s takes the tops of books", self._place)
        self.connected, self._answered = True, time.monotonic()

    def _failed(self, error: Exception) -> None:
        if self.connected or not self.errors:  # once an outage
            ours = isinstance(error, AuthenticationError | NoPermissionError)
            log.warning(
                "%s takes no tops of books: %s. %s; books and orders don't depend on it",
                self._place,
                masked(str(error)).rstrip(".") or type(error).__name__,
                "Correct REDIS_URL, or this user's rights" if ours else "It is tried again and again",
            )
        self.errors += 1
        self.connected = False
        self._known.clear()  # it may come back empty, and nobody knows what it took


def _shown(state: str, book: OrderBook) -> tuple[Any, ...]:
    """What is written at once when it changes; the rest is at most one refresh old."""
    return state, book.epoch, book.book.bids.best, book.book.asks.best
