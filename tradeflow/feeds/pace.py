"""`Pace`: when something that didn't help may be tried again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Pace:
    """The first time at once, then after delays that double to a cap; from the start again after a good while.

    Whatever is bad is tried as soon as it may be; so a while without a try was a good one."""

    def __init__(
        self, first: float, longest: float, good: float, jitter: Callable[[], float] = random.random
    ) -> None:
        """Seconds: first: after the first try; longest: the cap; good: after which all is forgotten.

        jitter: 0 … 1, spreads each delay over its upper half."""
        self._first = first
        self._longest = longest
        self._good = good
        self._jitter = jitter
        self._tries = 0
        self._next = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next try; `now` is monotonic."""
        return max(0.0, self._next - now)

    def tried(self, now: float) -> None:
        if now - self._next >= self._good:
            self._tries = 0
        delay = min(self._longest, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        self._next = now + delay * (0.5 + 0.5 * self._jitter())
