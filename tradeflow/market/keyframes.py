"""Keyframes: every book, whole, now and then, so that any earlier moment is near one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradeflow.market.served import Output, ServedBook
from tradeflow.messages import Keyframe

_NEVER = 2**63

_encode = msgspec.json.Encoder().encode


class Keyframes:
    """At the multiples of `interval` (ns of event time) one of each book, the books one after the other within it.

    When is a function of event time alone, so a checkpoint need not hold anything of it."""

    def __init__(self, books: Sequence[ServedBook], interval: int) -> None:
        self._interval = interval
        self._books = [(one, interval * number // len(books)) for number, one in enumerate(books)]
        self.due = 0 if books else _NEVER
        """Event time from which there is something to do; at first that isn't known, so at once."""

    def advance(self, before: int, after: int, offset: int) -> list[Output]:
        """Those that are due while event time moves from `before` to `after`; `offset`: of the last event applied."""
        interval, outputs = self._interval, []
        for served, phase in self._books:
            last = (after - phase) // interval * interval + phase
            if 0 < before < last and served.book.epoch >= 0:
                outputs.append(_keyframe(served, before, offset))
        self.due = min(((after - phase) // interval + 1) * interval + phase for _, phase in self._books)
        return outputs


def _keyframe(served: ServedBook, event_time: int, offset: int) -> Output:
    book = served.book
    record = Keyframe(
        exchange=book.exchange,
        symbol=book.symbol,
        epoch=book.epoch,
        sequence=book.sequence,
        event_time=event_time,
        offset=offset,
        book=msgspec.Raw(book.to_json()),
    )
    return Output("keyframes", served.key, _encode(record))
