"""`Pace`: checkpoints take a fifth of a core at the most, however many and deep the books are that have changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.2
WHOLE = 3.0
"""What a checkpoint costs in multiples of serializing its state, for that is sent, stored and compacted as well:
measured with 500 books of 1,000 levels a side."""


class Pace:
    def __init__(self) -> None:
        self._next = 0.0

    @contextmanager
    def serializing(self) -> Iterator[None]:
        """Around what makes a checkpoint's state: by what that costs is known when the next one is due."""
        began, before = time.monotonic(), time.thread_time()
        yield
        self._next = began + (time.thread_time() - before) * WHOLE / SHARE

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next
