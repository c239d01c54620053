"""What a frame says of books, read plainly and strictly, without any of the project's code.

A reader follows one connection.  Of each frame it says which changes of books it justifies, or that it is a
book's frame that must not be used."""

from __future__ import annotations

import re
import zlib
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from tests.fuzz.mutations import Frame, Object, Token, dump, parse

Side = dict[str, str]
"""Canonical price -> canonical size; in a change, size "0" removes."""
LONGEST = 64


class Unusable(Exception):
    """The frame is about a book, and contradicts its protocol."""


class Change(NamedTuple):
    symbol: str
    snapshot: bool
    bids: Side
    asks: Side
    note: Any = None
    """What its reader remembers when it has been published."""


class Reading(NamedTuple):
    kind: Literal["book", "unusable", "other"]
    """unusable: the connection must end; book: these changes are published, or the connection ends."""
    changes: list[Change]
    """Of an unusable frame: those of its parts before the one that isn't."""


_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?").fullmatch


def amount(value: Any, *, price: bool = False) -> str:
    """The canonical spelling of a number that is written bare or in quotes."""
    if not isinstance(value, str) or not value.isascii() or not _NUMBER(value):
        raise Unusable(f"{value!r:.60} is no number")
    number = Decimal(value)
    if abs(number.adjusted()) > LONGEST and number:
        raise Unusable(f"{value:.60} has too many digits")
    text = format(number, "f") if number else "0"
    text = text.rstrip("0").rstrip(".") if "." in text else text.lstrip("0") or "0"
    whole, _, fraction = text.partition(".")
    if len(whole) > LONGEST or len(fraction) > LONGEST:
        raise Unusable(f"{value:.60} has too many digits")
    if price and text == "0":
        raise Unusable("a price of zero")
    return text


def whole(value: Any) -> int:
    if not isinstance(value, Token) or not value.isdigit() or len(value) > 18:
        raise Unusable(f"{value!r:.60} is no whole number")
    return int(value)


def identity(value: Any) -> int:
    """An id may be any whole number."""
    return -whole(Token(value[1:])) if isinstance(value, Token) and value[0] == "-" else whole(value)


def string(value: Any) -> str:
    if type(value) is not str:
        raise Unusable(f"{value!r:.60} is no string")
    return value


def items(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Unusable(f"{value!r:.60} is no array")
    return value


def fields(value: Any) -> dict[str, Any]:
    """Of a key that is there twice, the last counts."""
    if not isinstance(value, Object):
        raise Unusable(f"{value!r:.60} is no object")
    return dict(value)


def need(row: dict[str, Any], key: str) -> Any:
    if key not in row:
        raise Unusable(f"no {key}")
    return row[key]


def levels(rows: Any) -> Side:
    """Of [price, size] pairs."""
    side: Side = {}
    for row in items(rows):
        if len(items(row)) != 2:
            raise Unusable(f"{row!r:.60} is no level")
        side[amount(row[0], price=True)] = amount(row[1])
    return side


class Reader:
    """names: the exchange's -> ours.  `books`: ours -> (bids, asks), canonical, as the connection told them."""

    depth: int | None = None

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.books: dict[str, tuple[Side, Side]] = {}

    def read(self, frame: Frame) -> Reading:
        changes: list[Change] = []
        try:
            text = frame.decode() if isinstance(frame, bytes) else frame
            message = parse(text)
        except ValueError:
            return Reading("unusable", [])
        except RecursionError:
            return Reading("other", [])
        try:
            self._read(message, changes)
        except Unusable:
            return Reading("unusable", changes)
        return Reading("book" if changes else "other", changes)

    def _read(self, message: Any, changes: list[Change]) -> None:
        """Adds to `changes`.  Raises Unusable."""
        raise NotImplementedError

    def symbol(self, name: Any) -> str:
        if string(name) not in self.names:
            raise Unusable(f"{name!r:.60} isn't subscribed")
        return self.names[name]

    def accept(self, change: Change) -> None:
        """It has been published."""
        if change.snapshot:
            self.books[change.symbol] = ({}, {})
        for side, news in zip(self.books[change.symbol], change[2:4], strict=True):
            for price, size in news.items():
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size
        if self.depth is not None:
            for side, worst in zip(self.books[change.symbol], (min, max), strict=True):
                for _ in range(len(side) - self.depth):
                    del side[worst(side, key=Decimal)]


class BinanceReader(Reader):
    def __init__(self, names: dict[str, str]) -> None:
        super().__init__(names)
        self.last: dict[str, int] = {}
        self.streaming: set[str] = set()
        """Symbols of which an update has followed the snapshot."""

    def _read(self, message: Any, changes: list[Change]) -> None:
        if not isinstance(message, Object):
            raise Unusable("no object")
        outer = fields(message)
        # What isn't a book's shows as a gap in the next update's ids.
        if not isinstance(outer.get("data"), Object):
            return
        data = fields(outer["data"])
        if data.get("e") != "depthUpdate":
            return
        stream = string(need(outer, "stream"))
        symbol = self.symbol(stream.partition("@")[0].upper())
        if need(data, "s") != stream.partition("@")[0].upper():
            raise Unusable("another symbol's stream")
        first, last = whole(need(data, "U")), whole(need(data, "u"))
        whole(need(data, "E"))
        if first > last:
            raise Unusable("ids the wrong way round")
        have = self.last.get(symbol, -1)
        if last < have and symbol in self.streaming:
            raise Unusable("an older update in mid-stream")
        if last <= have:
            return  # known already, whatever else it says
        changes.append(Change(symbol, False, levels(need(data, "b")), levels(need(data, "a")), last))

    def rest(self, name: str, body: Frame) -> Reading:
        try:
            answer = fields(parse(body.decode() if isinstance(body, bytes) else body))
            last = whole(need(answer, "lastUpdateId"))
            sides = levels(need(answer, "bids")), levels(need(answer, "asks"))
            return Reading("book", [Change(self.names[name], True, *sides, last)])
        except (Unusable, ValueError, RecursionError):
            return Reading("unusable", [])

    def accept(self, change: Change) -> None:
        super().accept(change)
        self.last[change.symbol] = change.note
        (self.streaming.discard if change.snapshot else self.streaming.add)(change.symbol)


class CoinbaseReader(Reader):
    def __init__(self, names: dict[str, str]) -> None:
        super().__init__(names)
        self.sequence: int | None = None

    def _read(self, message: Any, changes: list[Change]) -> None:
        frame = fields(message)
        if frame.get("channel") != "l2_data":
            if isinstance(number := frame.get("sequence_num"), Token) and number.isdigit():
                self.sequence = int(number[:18])
            return
        number = whole(need(frame, "sequence_num"))
        if self.sequence is not None and number != self.sequence + 1:
            raise Unusable("a gap")
        self.sequence = number
        for item in items(need(frame, "events")):
            event = fields(item)
            kind = need(event, "type")
            if kind not in ("snapshot", "update"):
                raise Unusable(f"type {kind!r:.60}")
            sides: dict[str, Side] = {"bid": {}, "offer": {}}
            for row in items(need(event, "updates")):
                update = fields(row)
                if (side := string(need(update, "side"))) not in sides:
                    raise Unusable(f"side {side!r:.60}")
                price = amount(need(update, "price_level"), price=True)
                sides[side][price] = amount(need(update, "new_quantity"))
            symbol = self.symbol(need(event, "product_id"))
            changes.append(Change(symbol, kind == "snapshot", sides["bid"], sides["offer"]))


class KrakenReader(Reader):
    """`digits`: our symbol -> decimals of price and size."""

    depth = 10

    def __init__(self, names: dict[str, str], digits: dict[str, tuple[int, int]]) -> None:
        super().__init__(names)
        self.digits = digits

    def _read(self, message: Any, changes: list[Change]) -> None:
        frame = fields(message)
        if frame.get("channel") != "book":
            return
        kind = need(frame, "type")
        if kind not in ("snapshot", "update"):
            raise Unusable(f"type {kind!r:.60}")
        after = self._copy()
        for item in items(need(frame, "data")):
            data = fields(item)
            symbol = self.symbol(need(data, "symbol"))
            sides = [self._side(data.get(key, [])) for key in ("bids", "asks")]
            change = Change(symbol, kind == "snapshot", *sides)
            if whole(need(data, "checksum")) != after.checksum_after(change):
                raise Unusable("another checksum")
            changes.append(change)

    def checksum(self, change: Change) -> int:
        """CRC32 of the best ten asks, then bids, of the book after the change, which isn't accepted by that."""
        return self._copy().checksum_after(change)

    def _copy(self) -> KrakenReader:
        copy = KrakenReader(self.names, self.digits)
        copy.books = {symbol: (dict(bids), dict(asks)) for symbol, (bids, asks) in self.books.items()}
        return copy

    def checksum_after(self, change: Change) -> int:
        """The same, and it is accepted."""
        if not change.snapshot and change.symbol not in self.books:
            raise Unusable("no snapshot")
        self.accept(change)
        bids, asks = self.books[change.symbol]
        levels = [
            *sorted(asks.items(), key=_by_price)[:10],
            *sorted(bids.items(), key=_by_price, reverse=True)[:10],
        ]
        text = "".join(
            pad(number, decimals).replace(".", "").lstrip("0")
            for level in levels
            for number, decimals in zip(level, self.digits[change.symbol], strict=True)
        )
        return zlib.crc32(text.encode())

    def _side(self, rows: Any) -> Side:
        side: Side = {}
        for row in items(rows):
            level = fields(row)
            side[amount(need(level, "price"), price=True)] = amount(need(level, "qty"))
        return side

    def seal(self, frame: str) -> str:
        """The frame with the right checksums, where it can be read at all."""
        try:
            message = parse(frame)
            outer = fields(message)
            for item in items(need(outer, "data")):
                data = fields(item)
                change = Change(
                    self.symbol(need(data, "symbol")),
                    outer.get("type") == "snapshot",
                    *(self._side(data.get(key, [])) for key in ("bids", "asks")),
                )
                for pair in item:
                    if pair[0] == "checksum":
                        pair[1] = Token(self.checksum(change))
            return dump(message)
        except (Unusable, ValueError, RecursionError):
            return frame


def _by_price(level: tuple[str, str]) -> Decimal:
    return Decimal(level[0])


def pad(number: str, decimals: int) -> str:
    """With at least so many decimals."""
    whole_part, _, fraction = number.partition(".")
    return f"{whole_part}.{fraction.ljust(decimals, '0')}"


class BitmexReader(Reader):
    def __init__(self, names: dict[str, str]) -> None:
        super().__init__(names)
        self.ids: dict[str, dict[tuple[str, int], str]] = {}

    def _read(self, message: Any, changes: list[Change]) -> None:
        frame = fields(message)
        if frame.get("table") != "orderBookL2":
            return
        action = need(frame, "action")
        rows = [fields(row) for row in items(need(frame, "data"))]
        if action not in ("partial", "insert", "update", "delete"):
            raise Unusable(f"action {action!r:.60}")
        if not rows:
            return
        names = {string(need(row, "symbol")) for row in rows}
        if len(names) > 1:
            raise Unusable("two symbols in a frame")
        symbol = self.symbol(names.pop())
        ids = {} if action == "partial" else dict(self.ids.get(symbol, {}))
        sides: dict[str, Side] = {"Buy": {}, "Sell": {}}
        for row in rows:
            side, key = string(need(row, "side")), identity(need(row, "id"))
            if side not in sides:
                raise Unusable(f"side {side!r:.60}")
            place = (side, key)
            if action in ("partial", "insert"):
                price = amount(need(row, "price"), price=True)
                if place in ids or price in {p for (s, _), p in ids.items() if s == side}:
                    raise Unusable(f"{place} is there already")
                ids[place] = price
            elif place not in ids:
                raise Unusable(f"{place} is unknown")
            price = ids.pop(place) if action == "delete" else ids[place]
            size = "0" if action == "delete" else amount(need(row, "size"))
            if action != "delete" and size == "0":
                raise Unusable("a level of nothing")
            sides[side][price] = size
        changes.append(Change(symbol, action == "partial", sides["Buy"], sides["Sell"], ids))

    def accept(self, change: Change) -> None:
        super().accept(change)
        self.ids[change.symbol] = change.note
