"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime


class TimeError(ValueError):
    """A text that is no moment; the message says how to write one."""


def parse_time(text: str) -> int:
    """Nanoseconds since 1970, of ISO 8601 (UTC where it names no zone; at most microseconds) or of such a number."""
    if text.isascii() and text.isdecimal() and 16 <= len(text) <= 19:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(
            f"{text!r} is no time: write 2026-01-31T12:00:00Z, or nanoseconds since 1970 in 16 to 19 digits"
        ) from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def show_time(nanoseconds: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC).isoformat(timespec="milliseconds")
