"""`book_changes`: the channel of plain agents that react to books; lossy, so none of them holds the books back.

A subscriber that does not keep up is parked: of each book only the latest change is kept for it, and when it
reads again it gets those, each with the number of changes that it missed.  Whoever needs every event runs a
worker group of its own on `market-events`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import faust
import msgspec

from tradeflow.market import BookChange

CAPACITY = 4096
"""Changes that wait for a subscriber before it counts as too slow."""

Parked = dict[tuple[str, str], BookChange]


class BookChanges:
    """Hands the changes of this worker's books to every subscriber of `channel`, without ever waiting."""

    def __init__(self, app: faust.App) -> None:
        self.channel: Any = app.channel(maxsize=CAPACITY)
        self._parked: WeakKeyDictionary[Any, Parked] = WeakKeyDictionary()

    @property
    def wanted(self) -> bool:
        """True if anybody listens."""
        return bool(self.channel._subscribers)

    def publish(self, changes: Iterable[BookChange]) -> None:
        changes = list(changes)
        for subscriber in self.channel._subscribers:
            parked = self._parked.setdefault(subscriber, {})
            queue = subscriber.queue
            if queue.qsize() <= CAPACITY // 2:
                while parked and not queue.full():
                    queue.put_nowait(parked.pop(next(iter(parked))))
            for change in changes:
                if parked or queue.full():
                    _park(parked, change)
                else:
                    queue.put_nowait(change)


def _park(parked: Parked, change: BookChange) -> None:
    place = (change.exchange, change.symbol)
    known = parked.pop(place, None)
    missed = 0 if known is None else known.missed + 1
    parked[place] = msgspec.structs.replace(change, missed=missed)
