"""From a feed's raw record to the market event that everything else reads; pure, strict, fast.

Nothing is guessed: what has no exact canonical form raises NormalizeError: the record is a dead letter.
"""

from __future__ import annotations

import functools
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import chain

import msgspec

from tradeflow.messages import (
    Delta,
    Down,
    Heartbeat,
    Instrument,
    Level,
    Listing,
    Raw,
    RawBook,
    RawDown,
    RawHeartbeat,
    RawInstrument,
    RawTrade,
    Side,
    Snapshot,
    Trade,
)
from tradeflow.symbols import SymbolError, canonical_symbol

SECOND = 1_000_000_000
_LATEST = 2**63 - 1  # the year 2262: milliseconds taken for seconds end up far beyond
_DISTINCT = 2.0**33  # below, neighboring floats are closer than a microsecond
_REMEMBERED = 50_000  # prices
_LONGEST = 64  # digits before or after the point; 1E+999999999 is a number, but nobody's price

_is_canonical = re.compile(r"(?:0|[1-9][0-9]{0,63})(?:\.[0-9]{0,63}[1-9])?").fullmatch
_is_plain = re.compile(r"[0-9]{1,64}(?:\.[0-9]{1,64})?").fullmatch
_are_plain = re.compile(r"(?:[0-9]{1,64}+(?:\.[0-9]{1,64}+)?+(?: |\Z))*+").fullmatch
_is_digits = re.compile(r"[0-9]{1,64}").fullmatch
_ISO_SECOND = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})").fullmatch
_ISO_REST = re.compile(r"(?:[.,]([0-9]+))?(?:Z|z|([+-])([0-9]{2}):?([0-9]{2}))?").fullmatch
_ISO_SECOND_LENGTH = len("1970-01-01T00:00:00")

_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}

Normalized = Snapshot | Delta | Trade | Down | Heartbeat | Instrument


class NormalizeError(ValueError):
    """A raw record that has no exact normal form; the message names field, value and what is allowed."""


def normalize(raw: Raw) -> Normalized:
    """Snapshot, Delta, Trade, Down, Heartbeat or Instrument of a raw record.

    Symbols canonical, prices and sizes canonical decimal strings, times integer nanoseconds, sides `buy` or
    `sell`.  Raises NormalizeError."""
    try:
        symbol = canonical_symbol(raw.symbol)
    except SymbolError as error:
        raise NormalizeError(f"symbol: {error}") from None
    if raw.receipt_time < 0 or raw.receipt_time > _LATEST:
        raise NormalizeError(f"receipt_time {raw.receipt_time} is not nanoseconds since 1970")
    if type(raw) is RawBook:
        return (Snapshot if raw.snapshot else Delta)(
            exchange=raw.exchange,
            symbol=symbol,
            epoch=raw.epoch,
            sequence=raw.sequence,
            receipt_time=raw.receipt_time,
            bids=_levels(raw.bids) if raw.bids else raw.bids,
            asks=_levels(raw.asks) if raw.asks else raw.asks,
            exchange_time=None if raw.exchange_time is None else nanoseconds(raw.exchange_time),
            exchange_sequence=raw.exchange_sequence,
            checksum=None if raw.checksum is None else _checksum(raw.checksum),
            depth=raw.depth,
        )
    if type(raw) is RawTrade:
        return _trade(raw, symbol)
    if type(raw) is RawHeartbeat:
        return Heartbeat(
            exchange=raw.exchange,
            symbol=symbol,
            epoch=raw.epoch,
            sequence=raw.sequence,
            receipt_time=raw.receipt_time,
            reason=raw.reason,
        )
    if type(raw) is RawInstrument:
        return Instrument(
            exchange=raw.exchange,
            symbol=symbol,
            epoch=raw.epoch,
            sequence=raw.sequence,
            receipt_time=raw.receipt_time,
            listing=_listing(raw.listing),
        )
    assert type(raw) is RawDown
    return Down(
        exchange=raw.exchange,
        symbol=symbol,
        epoch=raw.epoch,
        sequence=raw.sequence,
        receipt_time=raw.receipt_time,
        reason=raw.reason,
    )


def check_book(raw: RawBook) -> None:
    """Raises NormalizeError for what normalize would refuse: its feed sees at once that the book has a gap.

    Stricter in one thing: a feed writes numbers without exponents."""
    if levels := raw.bids + raw.asks:
        # All at once, for there are many; a space within a number would make one more of them.
        text = " ".join(chain.from_iterable(levels))
        if not _are_plain(text) or text.count(" ") != 2 * len(levels) - 1 or text[-1] == " ":
            raise NormalizeError(f"level {_first_odd(levels)} is no price with a size")
        for price, size in levels:
            if price[0] == "0" and not price.strip("0."):
                raise NormalizeError(f"level [{price!r:.100}, {size!r:.100}]: a price is above zero")
    if raw.exchange_time is not None:
        nanoseconds(raw.exchange_time)
    if raw.checksum is not None:
        _checksum(raw.checksum)


def _first_odd(levels: list[Level]) -> str:
    odd = next((level for level in levels if not all(map(_is_plain, level))), levels[0])
    return f"[{odd[0]!r:.100}, {odd[1]!r:.100}]"


def canonical_decimal(text: str) -> str:
    """The one spelling of a number: `1E-7` → `0.0000001`, `100.10` → `100.1`, `0E-8` → `0`.

    Raises NormalizeError for what is negative, not finite, or no number at all."""
    plain = text.rstrip("0").rstrip(".") if "." in text else text
    if _is_canonical(plain):
        return plain
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise NormalizeError(f"{text[:200]!r} is not a number") from None
    if "_" in text or not text.isascii():  # which Decimal takes for digits
        raise NormalizeError(f"{text[:200]!r} is not a number")
    if not number.is_finite():
        raise NormalizeError(f"{text[:200]!r} is not a finite number")
    if number < 0:
        raise NormalizeError(f"{text[:200]!r} is negative")
    if number == 0:
        return "0"
    if abs(number.adjusted()) > _LONGEST or len(number.as_tuple().digits) > 2 * _LONGEST:
        raise NormalizeError(f"{text[:200]!r} has more than {_LONGEST} digits before or after the point")
    plain = format(number, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    if not _is_canonical(plain):
        raise NormalizeError(f"{text[:200]!r} has more than {_LONGEST} digits before or after the point")
    return plain


def nanoseconds(time: float | str) -> int:
    """Integer nanoseconds since the epoch of seconds (a number, or its digits) or ISO 8601 (no zone = UTC).

    Exact to the digits given: a float counts as its shortest decimal spelling.  Raises NormalizeError for
    what isn't a time between 1970 and 2262, or is finer than a nanosecond."""
    if isinstance(time, float) and 0 <= time < _DISTINCT:
        # A float of these has at most one spelling in microseconds, and that one is its shortest.
        microseconds = round(time * 1e6)
        if microseconds / 1e6 == time:
            return microseconds * 1000
    text = time if isinstance(time, str) else repr(time)
    seconds, _, fraction = text.partition(".")
    if seconds and _is_digits(seconds + fraction):
        result = int(seconds) * SECOND + _fraction(fraction, text)
    elif isinstance(time, str):
        result = _iso_nanoseconds(time)
    else:
        result = _float_nanoseconds(time)
    if not 0 <= result <= _LATEST:
        raise NormalizeError(f"time {time!r:.100} is not between 1970 and 2262: are these seconds?")
    return result


class _Prices(dict[str, str]):
    """A price as it is written → its one spelling: most come again and again."""

    def __missing__(self, text: str) -> str:
        found = canonical_decimal(text)
        if found == "0":
            raise NormalizeError("a price is above zero")
        if len(text) <= 2 * _LONGEST:  # more are zeros, which would take memory
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = found
        return found


_prices = _Prices()


def _levels(levels: list[Level]) -> list[Level]:
    known, canonical = _prices, _is_canonical
    try:
        for price, size in levels:
            if known[price] != price or not canonical(size):
                return [(known[price], canonical_decimal(size)) for price, size in levels]
    except NormalizeError:
        return [_level(price, size) for price, size in levels]  # says which
    return levels


def _level(price: str, size: str) -> Level:
    try:
        level = canonical_decimal(price), canonical_decimal(size)
    except NormalizeError as error:
        raise NormalizeError(f"level [{price!r:.100}, {size!r:.100}]: {error}") from None
    if level[0] == "0":
        raise NormalizeError(f"level [{price!r:.100}, {size!r:.100}]: a price is above zero")
    return level


def _trade(raw: RawTrade, symbol: str) -> Trade:
    side = _SIDES.get(raw.side.lower())
    if side is None:
        raise NormalizeError(f"side {raw.side!r:.100} is neither buy nor sell")
    price, size = _level(raw.price, raw.size)
    if size == "0":
        raise NormalizeError(f"size {raw.size!r:.100}: a trade's size is above zero")
    return Trade(
        exchange=raw.exchange,
        symbol=symbol,
        epoch=raw.epoch,
        sequence=raw.sequence,
        receipt_time=raw.receipt_time,
        side=side,
        price=price,
        size=size,
        trade_id=raw.trade_id,
        order_type=raw.order_type,
        exchange_time=None if raw.exchange_time is None else nanoseconds(raw.exchange_time),
    )


def _listing(listing: Listing) -> Listing:
    numbers: dict[str, str] = {}
    for name in ("tick", "lot", "min_notional", "multiplier"):
        text = getattr(listing, name)
        if text is not None:
            numbers[name] = canonical_decimal(text)
            if numbers[name] == "0":
                raise NormalizeError(f"{name} {text!r:.100} is not above zero")
    return msgspec.structs.replace(listing, **numbers)


def _checksum(checksum: int | str) -> int:
    if isinstance(checksum, int):
        return checksum
    if not _is_digits(checksum):
        raise NormalizeError(f"checksum {checksum[:200]!r} is not an integer of at most 64 digits")
    return int(checksum)


def _iso_nanoseconds(text: str) -> int:
    rest = _ISO_REST(text, _ISO_SECOND_LENGTH)
    if not rest:
        raise NormalizeError(f"time {text!r:.100} is neither seconds nor ISO 8601")
    fraction, sign, hours, minutes = rest.groups()
    seconds = _iso_seconds(text[:_ISO_SECOND_LENGTH])
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
    return seconds * SECOND + _fraction(fraction or "", text)


@functools.lru_cache(maxsize=256)
def _iso_seconds(text: str) -> int:
    """Seconds of the part before the fraction, as if it were UTC; a stream repeats it many times."""
    match = _ISO_SECOND(text)
    if not match:
        raise NormalizeError(f"time {text!r:.100} is neither seconds nor ISO 8601")
    day, hour, minute, second = match.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise NormalizeError(f"time {text!r:.100}: there is no {hour}:{minute}:{second}")
    try:
        days = date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise NormalizeError(f"time {text!r:.100}: there is no day {day}") from None
    return days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)


def _fraction(digits: str, text: str) -> int:
    """Nanoseconds of the digits after the point."""
    if not digits:
        return 0
    if len(digits) > 9 and digits[9:].strip("0"):
        raise NormalizeError(f"time {text!r:.100} is finer than a nanosecond")
    return int(digits[:9].ljust(9, "0"))


def _float_nanoseconds(time: float) -> int:
    """For the floats that are spelled with an exponent, and to refuse the rest by name."""
    number = Decimal(repr(time))
    if not number.is_finite() or number < 0:
        raise NormalizeError(f"time {time!r:.100} is not seconds since 1970")
    scaled = number.scaleb(9)
    if scaled != int(scaled):
        raise NormalizeError(f"time {time!r:.100} is finer than a nanosecond")
    return int(scaled)
