"""Which trades of one exchange and symbol have been seen: by their numbers, and by the exchange's ids."""

from __future__ import annotations

from collections import deque

import msgspec

from tradeflow.messages import Trade

REMEMBERED = 1000
"""Ids kept: more than exchanges send again on a reconnect (BitMEX's partial, Kraken's snapshot of 50)."""


class TradeTape:
    """Says whether a trade is new."""

    __slots__ = ("_ids", "_order", "epoch", "sequence")

    def __init__(self) -> None:
        self.epoch = -1
        self.sequence = -1
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def is_new(self, trade: Trade) -> bool:
        """False for a record seen before, of an older epoch, or with a known id; else it is noted."""
        if trade.epoch < self.epoch or (trade.epoch == self.epoch and trade.sequence <= self.sequence):
            return False
        self.epoch, self.sequence = trade.epoch, trade.sequence
        if trade.trade_id is None:
            return True
        if trade.trade_id in self._ids:
            return False
        self._ids.add(trade.trade_id)
        self._order.append(trade.trade_id)
        if len(self._order) > REMEMBERED:
            self._ids.discard(self._order.popleft())
        return True

    def encode(self) -> bytes:
        return msgspec.json.encode((self.epoch, self.sequence, list(self._order)))

    @classmethod
    def decode(cls, value: bytes) -> TradeTape:
        self = cls()
        self.epoch, self.sequence, ids = msgspec.json.decode(value, type=tuple[int, int, list[str]])
        self._order.extend(ids)
        self._ids.update(ids)
        return self
