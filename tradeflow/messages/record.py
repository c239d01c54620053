"""What all records have in common."""

from __future__ import annotations

from typing import Literal

import msgspec

SchemaVersion = Literal[1]
"""What readers accept."""
SCHEMA_VERSION: SchemaVersion = 1

Level = tuple[str, str]
"""(price, size): decimal strings, never exponents; as a delta's size "0" removes the level."""

Side = Literal["buy", "sell"]


# gc=False: they hold strings and numbers alone, which form no cycles.
class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    v: SchemaVersion = SCHEMA_VERSION


class Event(Record, frozen=True, kw_only=True):
    receipt_time: int
    """When the feed's socket delivered it; for `clock`, the writer's time."""
