"""`Rotation`: which book is to be taken anew next, where an exchange's numbering can't prove it right."""

from __future__ import annotations

import time
from collections.abc import Iterable

REFRESH_SECONDS = 600.0


class Rotation:
    """Every name once in `seconds`, the one that waited longest first."""

    def __init__(self, names: Iterable[str], seconds: float) -> None:
        self._seconds = seconds
        self._asked = dict.fromkeys(names, time.monotonic())

    def due(self) -> str | None:
        """A name whose turn it is, which is thereby over; None if it is nobody's."""
        name = next(iter(self._asked), None)
        now = time.monotonic()
        if name is None or now - self._asked[name] < self._seconds:
            return None
        del self._asked[name]
        self._asked[name] = now  # last in order
        return name
