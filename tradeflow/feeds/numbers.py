"""`Numbers`: what a feed has given out of one symbol in this epoch; `Gap`: why its book has to be taken anew."""

from __future__ import annotations

from dataclasses import dataclass

from tradeflow.ticks import Tick

OVERTAKEN_NS = 4_000_000_000
"""Event time.  A reader that a snapshot didn't heal asks again after 5 s: nothing overtakes that request."""


@dataclass(slots=True)
class Gap:
    """Why a book has to be taken anew, and how often that was said since its last snapshot."""

    reason: str
    times: int = 1
    doubts_instrument: bool = False
    """What the exchange said of its instrument may have changed: for the source, which has yet to be told."""


class Numbers:
    """Where a symbol's records go, and the numbers of its last ones in this epoch (-1: none)."""

    __slots__ = (
        "book_sequence",
        "gapped",
        "instrument_sequence",
        "key",
        "last_sent",
        "partition",
        "snapshot_sequence",
        "snapshot_time",
        "synced",
        "tick",
        "trade_sequence",
        "unavailable",
    )

    def __init__(self, symbol: str, partition: int) -> None:
        self.key = symbol.encode()
        self.partition = partition
        self.reset()

    def reset(self) -> None:
        """An epoch begins."""
        self.book_sequence = -1
        self.trade_sequence = -1
        self.instrument_sequence = -1
        self.snapshot_sequence = -1
        self.snapshot_time = 0
        self.synced = False
        self.gapped = False
        self.tick: Tick | None = None
        self.unavailable = ""
        self.last_sent = 0

    def snapshot(self, now: int) -> None:
        """The last book record was a snapshot: the book is whole."""
        self.synced, self.gapped = True, False
        self.snapshot_sequence, self.snapshot_time = self.book_sequence, now

    def wants(self, sequence: int, time: int, now: int) -> bool:
        """See `Publisher.wants`; `now`: by the clock that stamps records."""
        if self.unavailable or self.snapshot_sequence < 0:
            return False
        if sequence >= self.snapshot_sequence or time - self.snapshot_time >= OVERTAKEN_NS:
            return True
        return now < self.snapshot_time  # the clock was set back since: nothing to compare with
