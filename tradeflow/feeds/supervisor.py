"""`Supervisor`: keeps a feed connected, each connection under an epoch of its own, and says when it isn't."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.resyncs import Resyncs
from tradeflow.feeds.source import Source, describe

logger = logging.getLogger(__name__)

Claim = Callable[[], Awaitable[int]]
"""Writes a claim to Kafka and returns its offset, the new epoch: higher than any that anybody had before."""

FIRST_DELAY = 0.1
LONGEST_DELAY = 4.0
"""Seconds between losing a connection and the next attempt, at most."""
STEADY = 30.0
"""A connection that lasted this many seconds is followed by an attempt without further delay."""
CANCEL_PATIENCE = 2.0
ALIVE_TIMEOUT = 20.0
"""Sources find out earlier by themselves, and know why."""


def backoff(failures: int, jitter: float) -> float:
    """Seconds to wait after the n-th failure in a row (from 1); jitter in 0 … 1 spreads many feeds."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16)) * (0.5 + 0.5 * jitter)


class Supervisor:
    """Claims an epoch, runs the source under it, publishes `down` the moment it ends; again until stop()."""

    def __init__(
        self,
        source: Source,
        publisher: Publisher,
        claim: Claim,
        *,
        heartbeat_interval: float = 1.0,
        alive_timeout: float = ALIVE_TIMEOUT,
        sync_timeout: float = 60.0,
        resync_interval: float = 10.0,
    ) -> None:
        """All in seconds.  heartbeat_interval: between the heartbeats of a quiet book; alive_timeout: without
        a sign of life until a connection is given up that its source still believes in; sync_timeout: until
        every book must have its snapshot; resync_interval: between the first two restarts that gaps cause."""
        self.source = source
        self.publisher = publisher
        self.state = "stopped"
        self.since = time.time_ns()
        self.connections = 0
        self.last_error = ""
        self._claim = claim
        self._heartbeat_interval = heartbeat_interval
        self._alive_timeout = alive_timeout
        self._sync_timeout = sync_timeout
        self._resyncs = Resyncs(source, publisher, resync_interval)
        self._foreign_claim = (-1, "")
        self._stopped = False
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Runs until stop() or cancellation; no failure of the source, the claim or Kafka ends it."""
        if self._stopped:
            return
        self._task = asyncio.create_task(self._loop(), name=self._name)
        try:
            await asyncio.wait([self._task])
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End the connection with `down` records; returns when nothing of it is left."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._enter("stopped")

    def request_resync(self, symbol: str, reason: str, *, epoch: int, sequence: int, time: int) -> bool:
        """Ask for a book to be taken anew; where the asking reader's book is, and at which event time.

        False where there is nothing to do: that epoch is over, a snapshot has overtaken the request or is on
        its way, or the symbol isn't this feed's."""
        if symbol not in self.source.symbols or epoch < self.publisher.epoch:
            return False
        if self.state not in ("connecting", "live") or symbol in self.publisher.gaps:
            return False
        if not self.publisher.wants(symbol, sequence, time):
            return False
        self.publisher.gap(symbol, reason)
        return True

    def outbid(self, epoch: int, reason: str) -> None:
        """Somebody else has claimed this feed.  Above our own claim, even one that still waits for its answer, it
        makes readers drop what the connection delivers: then claim again and reconnect, soon."""
        self._foreign_claim = max(self._foreign_claim, (epoch, reason))

    def status(self) -> dict[str, Any]:
        """For `/feeds`; times in nanoseconds."""
        if self.state == "connecting" and self.publisher.is_synced:
            self._enter("live")
        return {
            "exchange": self.source.exchange,
            "symbols": list(self.source.symbols),
            "unavailable": self.publisher.unavailable_symbols,
            "state": self.state,
            "since": self.since,
            "epoch": self.publisher.epoch,
            "messages": self.publisher.messages,
            "errors": self.publisher.errors,
            "ignored": self.publisher.ignored,
            "reconnects": max(0, self.connections - 1),
            "gaps": self.publisher.gap_count,
            "off_tick": self.publisher.off_tick,
            "resyncs": self._resyncs.count,
            "resyncing": {symbol: gap.reason for symbol, gap in self.publisher.gaps.items()},
            "last_error": self.last_error,
            "last_message_time": self.publisher.last_message_time,
        }

    @property
    def _name(self) -> str:
        return f"{self.source.exchange} feed of {', '.join(self.source.symbols)}"

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.since = time.time_ns()

    async def _loop(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                self.last_error = await self._connection()
            except Exception as error:
                logger.exception("%s: the feed failed", self._name)
                self.last_error = describe(error)
            failures = 1 if time.monotonic() - started >= STEADY else failures + 1
            delay = backoff(failures, random.random())
            logger.warning("%s: %s; connecting again in %.1f s", self._name, self.last_error, delay)
            self._enter("waiting")
            await asyncio.sleep(delay)

    async def _connection(self) -> str:
        """One epoch, from claim to `down`; returns why it ended."""
        self._enter("claiming")
        epoch = await self._claim()
        self.publisher.begin(epoch)
        self.connections += 1
        self._resyncs.begin()
        self._enter("connecting")
        run = asyncio.create_task(self.source.run(self.publisher), name=f"{self._name}: run")
        watch = asyncio.create_task(self._watch(), name=f"{self._name}: watch")
        reason = "the feed was stopped"
        try:
            await asyncio.wait([run, watch], return_when=asyncio.FIRST_COMPLETED)
            reason = _reason(run if run.done() else watch)
        finally:
            # First tell everybody, then tidy up: closing a half-open connection takes its time.
            told = self.publisher.down(reason)
            await _end(watch)
            await _end(run)
        if not told:
            logger.error("%s: %s, but Kafka takes no record of it; waiting", self._name, reason)
        while not told:
            await asyncio.sleep(0.2)
            told = self.publisher.repeat_down(reason)
        return reason

    async def _watch(self) -> str:
        """Heartbeats while all is well; returns the reason for a restart."""
        interval = min(self._heartbeat_interval, 1.0)
        started = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(min(interval / 2, self._resyncs.wait)):
                    await self.publisher.noted.wait()
            except TimeoutError:
                pass
            self.publisher.noted.clear()
            if self.publisher.failed.is_set():
                return self.publisher.failure
            now = time.monotonic()
            if (silence := self.publisher.quiet_seconds) > self._alive_timeout:
                return f"no sign of life for {silence:.1f} s"
            if self.state == "connecting":
                if self.publisher.is_synced:
                    self._enter("live")
                elif now - started > self._sync_timeout:
                    return f"not every book had a snapshot after {self._sync_timeout:.0f} s"
            epoch, reason = self._foreign_claim
            if epoch > self.publisher.epoch:
                return reason
            if reason := self._resyncs.step():
                return reason
            self.publisher.heartbeat(int(self._heartbeat_interval * 1e9))


def _reason(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "the connection's task was cancelled"
    error = task.exception()
    return describe(error) if error else task.result() or "the exchange closed the connection"


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel until it has ended: the next epoch must not begin while this one's source can still deliver."""
    while not task.done():
        task.cancel()
        _, late = await asyncio.wait([task], timeout=CANCEL_PATIENCE)
        if late:
            logger.error("%s: not ended after %.0f s, cancelling again", task.get_name(), CANCEL_PATIENCE)
    if not task.cancelled():
        task.exception()
