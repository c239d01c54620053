"""Checkpoints come less often the more of a core they take."""

from __future__ import annotations

import time

import pytest

from tradeflow.worker.pace import SHARE, WHOLE, Pace


@pytest.mark.parametrize("cost", [0.0, 0.001, 0.15])
def test_a_checkpoint_is_due_once_the_last_one_was_a_fifth_of_a_core_at_the_most(
    cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, used = 1_000.0, 7.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "thread_time", lambda: used)
    pace = Pace()
    assert pace.is_due, "nothing is known yet"
    with pace.serializing():
        used += cost
        now += 10 * cost  # the machine is busy with something else: no matter
    began, rest = 1_000.0, cost * WHOLE / SHARE
    now = began + 0.99 * rest
    assert pace.is_due == (cost == 0.0)
    now = began + 1.01 * rest
    assert pace.is_due
