"""How long a strategy's handlers may take: they run between two events, so a slow one makes every book late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

CALLS = 20
"""Calls that are looked at together."""
FEWEST = 5
"""Calls before anything is judged."""


class Budget:
    """`seconds`: what a call may take on average of the last 20, the longest left out: one pause of the machine
    halts nobody."""

    __slots__ = ("_spent", "clock", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = perf_counter) -> None:
        self.seconds = seconds
        self.clock = clock
        self._spent: deque[float] = deque(maxlen=CALLS)

    def spend(self, took: float) -> str:
        """After each call, which took so many seconds: why the strategy has to be halted, if it has."""
        spent = self._spent
        spent.append(took)
        if took <= self.seconds or len(spent) < FEWEST:
            return ""
        mean = (sum(spent) - max(spent)) / (len(spent) - 1)
        if mean <= self.seconds:
            return ""
        return f"too slow: {mean * 1e3:.1f} ms a call, {self.seconds * 1e3:g} ms are allowed"
