"""`SnapshotBudget`: how often an exchange's REST may be asked for a book."""

from __future__ import annotations

import asyncio
import time

from tradeflow.feeds.source import FeedError


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
