"""`Board`: the latest value of each key, and which of them are news to somebody who last looked at a given tick."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Board:
    """At most `size` values, those that changed last; each kept as the JSON that every reader gets."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: dict[Hashable, tuple[int, bytes]] = {}
        """Last changed last."""

    def put(self, key: Hashable, value: Any, tick: int) -> None:
        """Note a value; one that is as it was is no news."""
        encoded = _encode(value)
        known = self._rows.get(key)
        if known is not None:
            if known[1] == encoded:
                return
            del self._rows[key]
        self._rows[key] = tick, encoded
        if len(self._rows) > self._size:
            del self._rows[next(iter(self._rows))]

    def since(self, tick: int) -> list[bytes]:
        """What has changed after `tick`, in that order; -1: everything."""
        news: list[bytes] = []
        for changed, encoded in reversed(self._rows.values()):
            if changed <= tick:
                break
            news.append(encoded)
        return news[::-1]
