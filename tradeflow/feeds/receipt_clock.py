"""When a frame that is read now was received, at the earliest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BEAT = 0.2
"""Seconds between two looks at the clock where no frame is read."""
PAUSE = 1_000_000_000
"""Nanoseconds without a look, from which on the process or its event loop stood still."""
DRAINED = 250_000_000
"""Nanoseconds after a pause in which frames may still have waited; or a quarter of the pause, if that is longer."""


class ReceiptClock:
    """Stamps what a connection reads.

    While a process is stopped, or its event loop waits for a disk, frames wait in the socket: read afterwards they'd
    look as if they had just come, and an old book like a fresh one.  So for a moment after a pause frames are stamped
    as if they had come at its beginning."""

    def __init__(
        self, clock: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._clock, self._steady = clock, steady
        self._looked = steady()
        self._pause = 0
        self._until = 0
        """By the steady clock: until then what is read may have waited for `_pause`."""

    def now(self) -> int:
        """Nanoseconds since 1970; never less than before, unless the clock is set."""
        now = self._steady()
        if (pause := now - self._looked) > PAUSE:
            # What was left by a pause that has only just ended has waited for both.
            self._pause = pause + (self._pause if self._looked < self._until else 0)
            self._until = now + max(DRAINED, self._pause // 4)
        self._looked = now
        return self._clock() - (self._pause if now < self._until else 0)

    async def keep_looking(self) -> None:
        """Runs beside the connection: a quiet one isn't taken for a pause."""
        while True:
            await asyncio.sleep(BEAT)
            self.now()
