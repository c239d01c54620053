from __future__ import annotations

import pytest

from tradeflow.times import TimeError, parse_time, show_time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01", 0),
        ("2026-01-31T12:00:00Z", 1_769_860_800_000_000_000),
        ("2026-01-31T12:00:00", 1_769_860_800_000_000_000),
        ("2026-01-31T13:00:00.000001+01:00", 1_769_860_800_000_001_000),
        ("1769860800000000007", 1_769_860_800_000_000_007),
    ],
)
def test_times_as_people_write_them(text, time):
    assert parse_time(text) == time


@pytest.mark.parametrize("text", ["", "soon", "12", "1e18", "-1769860800000000007", "2026-13-01"])
def test_what_is_no_time_is_told(text):
    with pytest.raises(TimeError, match="write 2026-01-31T12:00:00Z"):
        parse_time(text)


def test_shown_as_utc():
    assert show_time(1_769_860_800_123_456_789) == "2026-01-31T12:00:00.123+00:00"
