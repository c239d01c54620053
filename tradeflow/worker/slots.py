"""Two slots a key: how many records become one checkpoint, whatever ends the worker in between.

A cut of a partition is many table records, and a crash can fall between any two of them.  So each key has
two slots, `key#0` and `key#1`: a checkpoint writes the slot that the last complete one does not use, and the
record `cut` of the partition, written last, says up to which offset the slots are complete.  A reader takes, of
each key, the newest slot at or below that cut; an interrupted checkpoint is never seen.

Each value begins with a stamp: the generation of who wrote it, and its cut's offset.  Whoever takes a partition over
begins a higher generation.  Of two values of a slot the one of the higher generation counts, within one the later
record: what a worker still sends that has lost the partition replaces nothing, and the first checkpoint after a crash
replaces what the interrupted one left behind, also where that had got further in the log.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple, Protocol

CUT_KEY = "cut"
_STAMP = struct.Struct(">qq")  # generation, offset of the cut


class Stored(Protocol):
    def stored(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key in a partition of a table."""


def generation_of(value: bytes) -> int:
    return int(_STAMP.unpack_from(value)[0])


def cut_of(value: bytes) -> int:
    """Offset of the checkpoint that wrote a value."""
    return int(_STAMP.unpack_from(value)[1])


def replaces(value: bytes, known: bytes) -> bool:
    """Whether a record of a changelog counts, where an earlier one is `known`."""
    return generation_of(value) >= generation_of(known)


def state_at(slots: Mapping[tuple[str, str], list[bytes]], cut: int) -> dict[tuple[str, str], bytes]:
    """The state as of a complete cut, of both slots of each (table, key).

    Raises LookupError where a slot of that cut has been written over since."""
    state = {}
    for place, values in slots.items():
        newest = max((value for value in values if cut_of(value) <= cut), key=cut_of, default=None)
        if newest is not None:
            state[place] = newest[_STAMP.size :]
        elif len(values) > 1:
            raise LookupError(f"{place}: both slots are newer than the cut at {cut}")
    return state


class SlotRecord[Table](NamedTuple):
    table: Table
    partition: int
    key: bytes
    value: bytes


class Slots[Table: Stored]:
    """The two-slot records of one partition in several tables, `marker` among them, which has the partition's cut.

    `generation`: at least this is the one that begins here; the consumer group's, which the broker raises for everybody
    who gets the partition."""

    def __init__(self, tables: Mapping[str, Table], marker: Table, partition: int, generation: int) -> None:
        self._tables = tables
        self._marker = marker
        self._partition = partition
        self._newest: dict[tuple[str, str], int] = {}
        stored = marker.stored(partition, CUT_KEY.encode())
        self.cut = cut_of(stored) if stored else -1
        self._generation = max(generation, generation_of(stored) + 1) if stored else generation

    def read(self, table: str, key: str) -> bytes | None:
        """The value of a key as of the cut; None if it had none."""
        newest: bytes | None = None
        for slot in (0, 1):
            value = self._tables[table].stored(self._partition, f"{key}#{slot}".encode())
            if value and cut_of(value) <= self.cut and (newest is None or cut_of(value) > cut_of(newest)):
                newest = value
                self._newest[table, key] = slot
        return newest[_STAMP.size :] if newest else None

    def records(self, writes: Mapping[tuple[str, str], bytes], cut: int) -> list[SlotRecord[Table]]:
        """A checkpoint but for its mark, in the slots that the last one does not use."""
        stamp = _STAMP.pack(self._generation, cut)
        found = []
        for (table, key), value in writes.items():
            slot = 1 - self._newest.get((table, key), 1)
            name = f"{key}#{slot}".encode()
            found.append(SlotRecord(self._tables[table], self._partition, name, stamp + value))
        return found

    def mark(self, cut: int) -> SlotRecord[Table]:
        """The record that makes a checkpoint count, to be written when all others are there."""
        stamp = _STAMP.pack(self._generation, cut)
        return SlotRecord(self._marker, self._partition, CUT_KEY.encode(), stamp)

    def completed(self, writes: Mapping[tuple[str, str], bytes], cut: int) -> None:
        """All of it is written, the mark too."""
        for place in writes:
            self._newest[place] = 1 - self._newest.get(place, 1)
        self.cut = cut
