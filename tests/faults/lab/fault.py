"""`Fault`: something that goes wrong, what must be marked because of it, and how soon all must be well again."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.faults.lab.samples import Place
from tests.faults.lab.system import QUIET, System

PACE = 0.5
"""Seconds that a lost connection or a lost record may stay unseen."""


class Span(NamedTuple):
    """Seconds since the epoch: when it went wrong, and since when nothing is in the way of healing."""

    begun: float
    over: float


class Fault(ABC):
    """One line of the table.  `flag_limit` None: nothing needs to be marked, for nothing is lost."""

    name: str
    times: int = 1
    flag_limit: float | None = PACE
    live_limit: float = 5.0
    old_after: float = QUIET
    """Seconds by which a book that says live may be behind while this goes on."""

    def missing(self) -> str:
        """What this machine lacks for it, and how to get it; empty if nothing."""
        return ""

    def prepare(self, system: System) -> None:
        """Before the books are waited for: start parts of the system in another way."""
        system.wait_ready()

    @abstractmethod
    def places(self, system: System) -> set[Place]:
        """The books that it hits, which must be marked; called once before each injection."""

    @abstractmethod
    def inject(self, system: System) -> Span:
        """Do it, and undo what doesn't heal by itself."""

    def tidy(self, system: System) -> None:
        """After the books are live again: start what has ended."""
        system.wait_ready()


class Stopwatch:
    """Collects the moments of a Span."""

    def __init__(self) -> None:
        self.begun = time.time()
        self.over = 0.0

    @property
    def span(self) -> Span:
        return Span(self.begun, self.over or self.begun)


@contextmanager
def lasting() -> Iterator[Stopwatch]:
    """A fault that lasts as long as the block."""
    watch = Stopwatch()
    yield watch
    watch.over = watch.over or time.time()
