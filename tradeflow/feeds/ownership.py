"""Which worker runs which feed: the owner of partition i of `feed-assignments` runs feed i.

A dead worker's feeds move with its partitions.  A claim in `feed-claims` (one partition) fences the former
owner: its offset is the epoch of everything that the connection delivers, so the newer claim is the higher
epoch.  An owner that sees a foreign claim above its own, made by a worker that woke up late, claims again; but not
before it must know that it is the owner, for as long as both believe that they are, each would outbid the other.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from mode import Service

from tradeflow import topics
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.supervisor import ALIVE_TIMEOUT, Supervisor
from tradeflow.messages import FeedClaim, ResyncRequest
from tradeflow.partitions import Feed, PartitionMaps
from tradeflow.settings import Settings
from tradeflow.worker.outbox import Outbox


class Feeds(Service):
    """Runs the feeds of the partitions that this worker owns; they keep running through a rebalance."""

    def __init__(
        self,
        feeds: Mapping[int, Feed],
        maps: PartitionMaps,
        settings: Settings,
        outbox: Outbox,
        *,
        contest_after: float = 0.0,
        may_contest: Callable[[], bool] = lambda: True,
        **kwargs: Any,
    ) -> None:
        """contest_after: seconds after which a worker that isn't the owner any more knows; may_contest: false while
        partitions are being shared out."""
        super().__init__(**kwargs)
        self.worker = uuid.uuid4().hex[:12]
        self._feeds = feeds
        self._maps = maps
        self._settings = settings
        self._outbox = outbox
        self._contest_after = contest_after
        self._may_contest = may_contest
        self._running: dict[int, tuple[Supervisor, asyncio.Task[None]]] = {}

    async def assign(self, partitions: set[int]) -> None:
        """Run exactly the feeds of these partitions: stop what was lost, start what is new, keep the rest."""
        lost = self._running.keys() - partitions
        stopped = [self._running.pop(index) for index in lost]
        for index in sorted(partitions & self._feeds.keys() - self._running.keys()):
            self._running[index] = self._start(self._feeds[index])
        # All at once: the rebalance waits for it, and closing a half-open connection takes seconds.
        await asyncio.gather(*(supervisor.stop() for supervisor, _ in stopped))

    async def on_stop(self) -> None:
        await self.assign(set())

    def resync(self, request: ResyncRequest) -> None:
        if running := self._running.get(request.feed):
            running[0].request_resync(
                request.symbol,
                request.reason,
                epoch=request.epoch,
                sequence=request.sequence,
                time=request.time,
            )

    def foreign_claim(self, epoch: int, claim: FeedClaim) -> None:
        """A claim was read back from Kafka: one of another worker above ours means that readers drop our records."""
        if claim.feed in self._running and claim.worker != self.worker:
            asyncio.get_running_loop().call_later(self._contest_after, self._contest, epoch, claim)

    def _contest(self, epoch: int, claim: FeedClaim) -> None:
        running = self._running.get(claim.feed)
        if running is None:
            return
        if self._may_contest():
            running[0].outbid(epoch, f"claimed by worker {claim.worker} at epoch {epoch}")
        else:
            asyncio.get_running_loop().call_later(self._contest_after, self._contest, epoch, claim)

    def status(self) -> list[dict[str, Any]]:
        return [
            {"feed": index, "worker": self.worker, **supervisor.status()}
            for index, (supervisor, _) in sorted(self._running.items())
        ]

    def _start(self, feed: Feed) -> tuple[Supervisor, asyncio.Task[None]]:
        partition_map = self._maps.exchanges[feed.exchange]
        partitions = {symbol: partition_map[symbol] for symbol in feed.symbols}
        supervisor = Supervisor(
            make_source(feed.exchange, list(feed.symbols), self._settings),
            Publisher(feed.exchange, partitions, self._send, check_ticks=self._settings.check_ticks),
            lambda: self._claim(feed),
            heartbeat_interval=self._settings.heartbeat_interval,
            alive_timeout=ALIVE_TIMEOUT + self._settings.silence_timeout,
        )
        return supervisor, asyncio.create_task(supervisor.run(), name=f"feed-{feed.index}")

    def _send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self._outbox.append(topic, partition, key, value, bounded=True)

    async def _claim(self, feed: Feed) -> int:
        claim = FeedClaim(
            feed=feed.index,
            exchange=feed.exchange,
            symbols=list(feed.symbols),
            worker=self.worker,
            time=time.time_ns(),
        )
        return await self._outbox.send(
            topics.FEED_CLAIMS, 0, str(feed.index).encode(), msgspec.json.encode(claim)
        )
