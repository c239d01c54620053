"""What waited in a socket while the process stood still isn't stamped as if it had just come."""

from __future__ import annotations

import pytest

from tradeflow.feeds.receipt_clock import ReceiptClock

START = 1_700_000_000_000_000_000


class Times:
    """Both clocks, moved by hand; in seconds."""

    def __init__(self) -> None:
        self.at = 0.0
        self.receipts = ReceiptClock(lambda: START + self.steady(), self.steady)

    def steady(self) -> int:
        return round(self.at * 1e9)

    def after(self, seconds: float) -> float:
        """What a frame is stamped with that is read so much later."""
        self.at += seconds
        return round((self.receipts.now() - START) / 1e9, 3)


@pytest.fixture
def times() -> Times:
    return Times()


def test_frames_that_follow_each_other_are_stamped_with_the_time(times: Times) -> None:
    assert [times.after(seconds) for seconds in (0, 0.1, 0.9, 1.0)] == [0, 0.1, 1.0, 2.0]


def test_after_a_pause_frames_are_stamped_as_if_they_had_come_at_its_beginning(times: Times) -> None:
    times.after(1)
    assert times.after(2) == 1
    assert times.after(0.1) == 1.1
    assert times.after(0.3) == 1.4, "a quarter of the pause"
    assert times.after(0.1) == 3.5


def test_pauses_add_up_where_nothing_could_be_read_between_them(times: Times) -> None:
    times.after(1)
    assert times.after(2) == 1
    assert times.after(0.04) == 1.04
    assert times.after(2) == 1.04
    assert times.after(0.9) == 1.94, "of both pauses a quarter isn't over"
    assert times.after(0.2) == 6.14, "now it is"


def test_a_pause_that_is_long_over_counts_no_more(times: Times) -> None:
    times.after(1.1)
    for _ in range(5):
        times.after(0.9)
    assert times.after(2) == 5.6
