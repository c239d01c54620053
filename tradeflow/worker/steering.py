"""Operators' words, from topic `control` into the log of each partition: halts, resumes, other parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from tradeflow import topics
from tradeflow.market import Market
from tradeflow.messages import Steer
from tradeflow.worker.outbox import Outbox

_encode = msgspec.json.Encoder().encode


class Steering:
    """All that was ever said, copied once into each partition that `owned()` names and as it comes; the market drops
    what it has heard, by its offset.  `live` are the markets of this worker."""

    def __init__(
        self,
        outbox: Outbox,
        owned: Callable[[], Iterable[int]],
        live: Callable[[], Mapping[int, Market]],
    ) -> None:
        self._outbox = outbox
        self._owned = owned
        self._live = live
        self._said: list[Steer] = []
        self._copied: dict[int, int] = {}
        """partition → offset of the last word that was copied."""

    def note(self, offset: int, steer: Steer) -> None:
        """A record of `control`; from the beginning of the topic, in order, some more than once."""
        if not self._said or offset > self._said[-1].offset:
            self._said.append(msgspec.structs.replace(steer, offset=offset))

    def heard(self, offset: int, steer: Steer) -> None:
        """A record that has just come: it goes on at once."""
        self.note(offset, steer)
        for partition in self._owned():
            self.copy(partition)

    def copy(self, partition: int) -> None:
        """Whatever of it is missing in the log of a partition."""
        if not self._said or self._copied.get(partition, -1) >= self._said[-1].offset:
            return
        market = self._live().get(partition)
        known = max(self._copied.get(partition, -1), market.trading.steered if market else -1)
        for steer in self._said:
            if steer.offset > known:
                self._outbox.append(topics.MARKET_EVENTS, partition, b"", _encode(steer))
        self._copied[partition] = self._said[-1].offset

    def forget(self) -> None:
        """The partitions are shared out anew."""
        self._copied.clear()
