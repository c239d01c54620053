"""What an answer of a worker is worth next to the exchange's own book; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

Book = dict[str, Any]


class Verdict(NamedTuple):
    """What a live book is (`kind`):

    right      live, and the exchange's book of that moment
    wrong      live, and not that; `detail` has the first levels that differ
    old        live and once true, but the exchange had moved on for longer than is allowed
    forgotten  live, of a version that the simulator's history doesn't hold: never counted as right
    unplaced   live, with nothing that says which version it is (some snapshots bear no time)

    Other answers count as `flagged` (the book says that it isn't live), `unserved` (no book: an error, a refusal,
    no answer), and `unasked` (live, while the simulator still owed the answer about the one before).
    """

    kind: str
    detail: str = ""


def moment(book: Book) -> str | None:
    """The query for the exchange's book of the same moment: by its own sequence, or by its time."""
    if book["exchange"] == "binance":
        sequence = book["exchange_sequence"]
        return None if sequence is None else f"sequence={sequence}"
    return f"time={book['exchange_time']}" if book["exchange_time"] else None


def difference(book: Book, true: Book) -> str:
    """The first level that differs, of each side; "" if none does."""
    found = []
    for side in ("bids", "asks"):
        served, expected = book[side], true[side]
        for rank in range(max(len(served), len(expected))):
            have, want = served[rank : rank + 1], expected[rank : rank + 1]
            if have != want:
                found.append(f"{side}[{rank}]: served {have}, true {want}")
                break
    if not found:
        return ""
    place = {name: book.get(name) for name in ("exchange", "symbol", "epoch", "sequence", "kafka")}
    at = {name: book.get(name) for name in ("exchange_sequence", "exchange_time", "receipt_time")}
    return f"{place} {at} true at {true['sequence']}/{true['time']}: {'; '.join(found)}"


def age(book: Book, asked: float) -> str:
    """How far each of its times was behind when it was asked for (`asked`: seconds since the epoch)."""
    times = {name: book[name] for name in ("exchange_time", "receipt_time", "event_time", "since")}
    behind = {name: f"{asked - at / 1e9:.2f} s" for name, at in times.items() if at}
    return f"{book['exchange']} {book['symbol']}, live, of epoch {book['epoch']}: behind by {behind}"
