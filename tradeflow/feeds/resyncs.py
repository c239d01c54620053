"""`Resyncs`: which books of a feed are taken anew, when, and when the whole connection is instead."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from tradeflow.feeds.pace import Pace
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.source import Source

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
GOOD_SECONDS = 60.0
"""Of a book's resyncs: the second may come half a second after the first, the next later and later; a book
that was good for a minute starts anew."""
LONGEST_RESTART_DELAY = 300.0
SEVERAL = 3
"""So many books with gaps at once, and at least half of the feed's: the connection itself is to blame."""


@dataclass(slots=True)
class _Asked:
    at: float
    """Monotonic, of the first try."""
    times: int
    """How often the gap had been noted at the last one."""


class Resyncs:
    """Asks the source for each book that the publisher knows a gap of."""

    def __init__(
        self,
        source: Source,
        publisher: Publisher,
        restart_interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """restart_interval: seconds between the first two restarts that gaps cause; more between the next."""
        self.count = 0
        """Books asked for, all epochs."""
        self._source = source
        self._publisher = publisher
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self._paces: dict[str, Pace] = {}
        self._restart = Pace(restart_interval, LONGEST_RESTART_DELAY, LONGEST_RESTART_DELAY)
        self._wait = float("inf")

    def begin(self) -> None:
        """A new connection: nothing of it has been asked for yet."""
        self._asked.clear()
        self._wait = float("inf")

    @property
    def wait(self) -> float:
        """Seconds after the last step until the next has something to do."""
        return self._wait

    def step(self) -> str:
        """Ask for what may be asked for; the reason, where the connection must be restarted now."""
        now = self._clock()
        gaps = self._publisher.gaps
        for symbol in [symbol for symbol in self._asked if symbol not in gaps]:
            del self._asked[symbol]
        self._wait = float("inf")
        if not gaps:
            return ""
        for gap in gaps.values():
            if gap.doubts_instrument:
                gap.doubts_instrument = False
                self._source.doubt_instruments()
        symbol, gap = next(iter(gaps.items()))
        if len(gaps) >= SEVERAL and len(self._source.symbols) <= 2 * len(gaps):
            return self._restarted(
                f"{len(gaps)} of {len(self._source.symbols)} books have gaps; {symbol}: {gap.reason}", now
            )
        for symbol in gaps:
            if (reason := self._ask(symbol, now)) and (restarted := self._restarted(reason, now)):
                return restarted
        return ""

    def _ask(self, symbol: str, now: float) -> str:
        """Why asking for this book doesn't help; empty as long as it may."""
        gap = self._publisher.gaps[symbol]
        asked = self._asked.get(symbol)
        if asked is not None:
            left = asked.at + self._source.resync_patience - now
            if left <= 0:
                return (
                    f"no snapshot of {symbol} in {now - asked.at:.0f} s after its resync began: {gap.reason}"
                )
            self._wait = min(self._wait, left)
            if asked.times == gap.times:
                return ""
        pace = self._paces.setdefault(symbol, Pace(FIRST_DELAY, LONGEST_DELAY, GOOD_SECONDS))
        if wait := pace.wait(now):
            self._wait = min(self._wait, wait)
            return ""
        if not self._source.resync(symbol):
            return f"resync of {symbol}: {gap.reason}"
        pace.tried(now)
        self.count += 1
        self._asked[symbol] = _Asked(now if asked is None else asked.at, gap.times)
        self._wait = min(self._wait, self._source.resync_patience)
        logger.warning("%s %s: %s; its book is taken anew", self._source.exchange, symbol, gap.reason)
        return ""

    def _restarted(self, reason: str, now: float) -> str:
        """The reason, if a restart may be tried now."""
        if wait := self._restart.wait(now):
            self._wait = min(self._wait, wait)
            return ""
        self._restart.tried(now)
        return reason
