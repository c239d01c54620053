"""What may be called live, by the clock of the worker that answers."""

from __future__ import annotations

import math

import pytest

from tradeflow.web import freshness
from tradeflow.worker.tail import PAUSE, Tail

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("behind", "state", "expected"),
    [
        (0, "live", "live"),
        (5 * SECOND, "live", "live"),
        (5 * SECOND + 1, "live", "stale"),
        (60 * SECOND, "broken", "broken"),
    ],
)
def test_a_book_is_live_while_its_log_arrives(behind: int, state: str, expected: str) -> None:
    reason = "" if state == "live" else "gap"
    quality = freshness.of_book(state, reason, NOW - behind, NOW - behind, NOW, 5 * SECOND)
    assert quality.state == expected
    assert quality.reason == reason if expected == state else "5.0 s behind" in quality.reason


def test_a_book_is_silent_by_the_workers_clock_though_its_log_is_late() -> None:
    """What the log says of now is up to its own delay old: the two must not add up."""
    late = NOW - 4 * SECOND
    assert freshness.of_book("live", "", late - SECOND, late, NOW, 5 * SECOND).state == "live"
    quality = freshness.of_book("live", "", late - SECOND - 1, late, NOW, 5 * SECOND)
    assert quality == ("stale", "silent for 5.0 s")


@pytest.mark.parametrize(("ahead", "expected"), [(2 * SECOND, "live"), (2 * SECOND + 1, "stale")])
def test_a_worker_whose_clock_is_behind_its_log_calls_nothing_live(ahead: int, expected: str) -> None:
    """It could not tell what is old."""
    for quality in (
        freshness.of_book("live", "", NOW + ahead, NOW + ahead, NOW, 5 * SECOND),
        freshness.of_list("live", "", NOW + ahead, NOW, 0.1),
    ):
        assert quality.state == expected
        assert ("2.0 s ahead of this worker's clock" in quality.reason) == (expected == "stale")


@pytest.mark.parametrize(
    ("age", "expected"), [(0.1, "live"), (2.0, "live"), (2.1, "stale"), (math.inf, "stale")]
)
def test_a_listed_book_is_live_while_kafka_answers(age: float, expected: str) -> None:
    quality = freshness.of_list("live", "", NOW, NOW, age)
    assert quality.state == expected
    assert bool(quality.reason) == (expected != "live")
    assert "inf" not in quality.reason


@pytest.mark.parametrize(("seconds", "expected"), [(0, "live"), (7, "live"), (7.1, "stale")])
def test_a_listed_book_is_live_while_its_worker_publishes_it(seconds: float, expected: str) -> None:
    quality = freshness.of_list("live", "", NOW - int(seconds * SECOND), NOW, 0.1)
    assert quality.state == expected
    assert ("not published for 7.1 s" in quality.reason) == (expected != "live")


def test_what_was_worse_stays_as_it_is() -> None:
    assert freshness.of_list("broken", "gap", NOW, NOW, math.inf) == ("broken", "gap")


class _Consumer:
    """As much of aiokafka's as the age is made of."""

    def __init__(self, *polled: float | None) -> None:
        self.polled = dict(enumerate(polled))

    def assignment(self) -> dict[int, float | None]:
        return self.polled

    def last_poll_timestamp(self, partition: int) -> float | None:
        return self.polled[partition]


def test_the_tail_is_as_old_as_the_partition_that_was_answered_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    monkeypatch.setattr("time.monotonic", lambda: 50.0)
    tail = Tail({"bootstrap_servers": "127.0.0.1:1"})
    assert tail.age() == math.inf, "nothing was read yet"
    tail._consumer = _Consumer(999_900, 999_500)  # type: ignore[assignment]
    assert tail.age() == pytest.approx(0.5)
    tail._consumer = _Consumer(999_900, None)  # type: ignore[assignment]
    assert tail.age() == math.inf


def test_a_tail_that_slept_is_old_until_kafka_has_answered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": 1000.0, "monotonic": 50.0}
    monkeypatch.setattr("time.time", lambda: clock["wall"])
    monkeypatch.setattr("time.monotonic", lambda: clock["monotonic"])
    tail = Tail({"bootstrap_servers": "127.0.0.1:1"})
    tail._consumer = _Consumer(1_000_000)  # type: ignore[assignment]
    assert tail.age() == 0
    clock |= {"wall": 1009.0, "monotonic": 59.0}
    tail._consumer.polled[0] = 1_009_000  # type: ignore[attr-defined]
    assert tail.age() == pytest.approx(9.0), "the answer had been asked for before it slept"
    tail.note_beat()
    assert tail.age() == math.inf
    clock["wall"] += 0.2
    tail._consumer.polled[0] = 1_009_200  # type: ignore[attr-defined]
    assert tail.age() == 0
    assert PAUSE < 9


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_step_of_the_clock_makes_the_tail_old_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """What was set by the clock of before would else count for an hour."""
    clock = {"wall": 10_000.0, "monotonic": 50.0}
    monkeypatch.setattr("time.time", lambda: clock["wall"])
    monkeypatch.setattr("time.monotonic", lambda: clock["monotonic"])
    tail = Tail({"bootstrap_servers": "127.0.0.1:1"})
    tail._consumer = _Consumer(10_000_000)  # type: ignore[assignment]
    clock["monotonic"] += PAUSE + 1  # it was frozen: what was polled before `_woke` is old
    tail.note_beat()
    clock["wall"] += step + 0.2
    clock["monotonic"] += 0.2
    tail.note_beat()
    assert tail.age() == math.inf
    clock["wall"] += 0.2
    tail._consumer.polled[0] = clock["wall"] * 1000  # type: ignore[attr-defined]
    assert tail.age() == 0
