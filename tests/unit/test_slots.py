"""Slots: whatever ends a worker in the middle of a checkpoint, the next one finds the state of a whole cut."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from tradeflow.worker.slots import Slots, cut_of, generation_of, replaces

KEYS = ("a", "b", "c")
EVERY = {"a": 1, "b": 7, "c": 30}
"""Key → after how many records of the log it changes again."""
END = 200


class Table:
    """What a reader keeps of a changelog's records."""

    def __init__(self, changelog: list[tuple[bytes, bytes]] = []) -> None:  # noqa: B006  only read
        self.values: dict[bytes, bytes] = {}
        for key, value in changelog:
            self.put(key, value)

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self.values or replaces(value, self.values[key]):
            self.values[key] = value

    def stored(self, partition: int, key: bytes) -> bytes | None:
        return self.values.get(key)


def as_of(key: str, offset: int) -> bytes | None:
    """The value after the record at this offset: which is the last that changed it."""
    changed = offset // EVERY[key] * EVERY[key]
    return str(changed).encode() if offset >= 0 else None


class Life:
    """A worker that owns the partition, from its start on what is in `table`."""

    def __init__(self, table: Table, generation: int) -> None:
        self.table = table
        self.slots = Slots({"t": table}, table, 0, generation)
        for key in KEYS:
            assert self.slots.read("t", key) == as_of(key, self.slots.cut), f"{key} at {self.slots.cut}"
        self.offset = self.slots.cut

    def checkpoint(self, offset: int) -> tuple[list[tuple[bytes, bytes]], Any]:
        """The records of a checkpoint, and what is to be done when all of them are written."""
        new = {("t", key): as_of(key, offset) for key in KEYS}
        writes: Any = {place: value for place, value in new.items() if value != as_of(place[1], self.offset)}
        self.offset = offset
        records = [*self.slots.records(writes, offset), self.slots.mark(offset)]
        return [(one.key, one.value) for one in records], lambda: self.slots.completed(writes, offset)


lives = st.lists(
    st.tuples(
        st.booleans(),  # with the local state of the life before, or only with the changelog
        st.lists(st.integers(1, 60), max_size=4),  # so many records further a checkpoint each
        st.integers(0, 4),  # records of the last one that get out
        st.integers(0, 3),  # of these, as many only after the first checkpoint of its successor
    ),
    max_size=8,
)


@settings(max_examples=400, deadline=None)
@given(lives)
def test_every_life_begins_with_the_state_of_a_whole_cut(
    lives: list[tuple[bool, list[int], int, int]],
) -> None:
    changelog: list[tuple[bytes, bytes]] = []
    before, late = Table(), []
    for generation, (local, steps, out, held) in enumerate(lives):
        table = Table(changelog) if not local else before
        if local:
            for record in changelog:
                table.put(*record)
        life = Life(table, generation)
        for number, step in enumerate(steps):
            records, completed = life.checkpoint(min(life.offset + step, END))
            if number < len(steps) - 1:
                changelog += records
                for record in records:
                    table.put(*record)
                completed()
                changelog += late  # a worker that was frozen wakes up: the partition isn't its own any more
                late = []
            else:
                records = records[: min(out, len(records) - 1)]  # all but its mark at the most
                sent = max(0, len(records) - held)
                changelog += records[:sent]
                late = records[sent:]
        before = table
    Life(Table(changelog), len(lives))


def test_the_first_checkpoint_after_a_crash_counts_also_where_the_interrupted_one_was_further() -> None:
    changelog: list[tuple[bytes, bytes]] = []
    first = Life(Table(), 1)
    records, completed = first.checkpoint(10)
    changelog += records
    completed()
    changelog += first.checkpoint(100)[0][:-1]
    second = Life(Table(changelog), 2)
    assert second.slots.cut == 10
    changelog += second.checkpoint(20)[0]
    assert Life(Table(changelog), 3).slots.cut == 20


def test_a_generation_is_above_every_one_before_even_if_the_group_begins_anew() -> None:
    table = Table()
    for generation, expected in ((5, 5), (5, 6), (9, 9), (1, 10)):
        life = Life(table, generation)
        for key, value in life.checkpoint(life.offset + 7)[0]:
            assert (generation_of(value), cut_of(value)) == (expected, life.offset)
            table.put(key, value)
