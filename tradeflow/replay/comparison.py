"""`Comparison`: records as they were recorded and as they came again, in any order, and their SHA-256.

The canonical log of orders: of each order its canonical JSON (keys sorted, no spaces), once, in the order of
(order_id, command).  Its SHA-256 is that of the SHA-256s of its lines, 32 bytes each, one after the other: so nothing
but those must be kept.  Verdicts likewise, in the order of execution_id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

Bounds = Callable[[int], tuple[int, int] | None]
"""Partition → event times between which (not at them) a lone record is a difference; None: nothing can be compared."""


class _Seen(NamedTuple):
    partition: int
    digest: bytes
    line: bytes
    event_time: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison came to."""

    recorded: int
    """Different ones that were recorded; also those that can't be compared."""
    replayed: int
    identical: int
    changed: int
    """Recorded and replayed with different contents."""
    missing: int
    """Recorded, but not sent again."""
    extra: int
    """Sent by the replay, but not recorded."""
    conflicting: int
    """Recorded more than once with different contents."""
    not_compared: int
    """Of partitions whose state at the beginning isn't known, and what the recording's ends have cut off."""
    sha256_recorded: str
    sha256_replayed: str
    first: str
    """The first difference, in words; empty if there is none."""

    @property
    def same(self) -> bool:
        return not (self.changed or self.missing or self.extra or self.conflicting)


def canonical(value: bytes) -> bytes:
    """A line of the canonical log.  Raises msgspec.DecodeError for what isn't JSON."""
    return msgspec.json.encode(msgspec.json.decode(value), order="deterministic")


class Comparison:
    """Contents are kept only until both sides have them; of each record its key and SHA-256 stay."""

    def __init__(self) -> None:
        self._same: dict[str, bytes] = {}
        self._changed: dict[str, tuple[_Seen, _Seen]] = {}
        self._lone: dict[str, dict[str, _Seen]] = {"recorded": {}, "replayed": {}}
        self._conflicting: set[str] = set()

    def recorded(self, partition: int, key: str, event_time: int, value: bytes) -> None:
        seen = _seen(partition, event_time, value)
        known = self._known(key)
        if known is None:
            self._meet(key, seen, "recorded", "replayed")
        elif known != seen.digest:
            self._conflicting.add(key)

    def replayed(self, partition: int, key: str, event_time: int, value: bytes) -> None:
        self._meet(key, _seen(partition, event_time, value), "replayed", "recorded")

    def verdict(self, bounds: Bounds) -> Verdict:
        """What it comes to; to be asked once, at the end."""
        sides = {side: dict(self._same) for side in self._lone}
        differences: list[tuple[int, str, str]] = []
        counts = dict.fromkeys(("changed", "missing", "extra", "not_compared"), 0)
        for key, (recorded, replayed) in self._changed.items():
            if bounds(recorded.partition) is None:
                counts["not_compared"] += 1
                continue
            counts["changed"] += 1
            sides["recorded"][key], sides["replayed"][key] = recorded.digest, replayed.digest
            words = f"{key}: recorded {recorded.line.decode()}, replayed {replayed.line.decode()}"
            differences.append((recorded.event_time, key, words))
        for side, name in (("recorded", "missing"), ("replayed", "extra")):
            other = {"recorded": "not sent by the replay", "replayed": "not recorded"}[side]
            for key, seen in self._lone[side].items():
                limits = bounds(seen.partition)
                if limits is None or not limits[0] < seen.event_time < limits[1]:
                    counts["not_compared"] += 1
                    continue
                counts[name] += 1
                sides[side][key] = seen.digest
                differences.append((seen.event_time, key, f"{key}: {side}, {other}: {seen.line.decode()}"))
        return Verdict(
            **{side: len(self._same) + len(self._changed) + len(lone) for side, lone in self._lone.items()},
            identical=len(self._same),
            conflicting=len(self._conflicting),
            sha256_recorded=LogDigest(sides["recorded"]).sha256(),
            sha256_replayed=LogDigest(sides["replayed"]).sha256(),
            first=min(differences)[2] if differences else "",
            **counts,
        )

    def _known(self, key: str) -> bytes | None:
        """SHA-256 of what was recorded under this key."""
        if key in self._changed:
            return self._changed[key][0].digest
        lone = self._lone["recorded"].get(key)
        return lone.digest if lone else self._same.get(key)

    def _meet(self, key: str, seen: _Seen, side: str, other_side: str) -> None:
        other = self._lone[other_side].pop(key, None)
        if other is None:
            self._lone[side][key] = seen
        elif other.digest == seen.digest:
            self._same[key] = seen.digest
        else:
            self._changed[key] = (seen, other) if side == "recorded" else (other, seen)


def _seen(partition: int, event_time: int, value: bytes) -> _Seen:
    line = canonical(value)
    return _Seen(partition, hashlib.sha256(line).digest(), line, event_time)


class LogDigest:
    """The SHA-256 of a canonical log, of which only the digests of its lines are kept."""

    def __init__(self, digests: Mapping[str, bytes] | None = None) -> None:
        self._digests = dict(digests or {})

    @property
    def count(self) -> int:
        return len(self._digests)

    def add(self, key: str, value: bytes) -> None:
        """A record; the same key again changes nothing."""
        self._digests.setdefault(key, hashlib.sha256(canonical(value)).digest())

    def sha256(self) -> str:
        return hashlib.sha256(b"".join([self._digests[key] for key in sorted(self._digests)])).hexdigest()
