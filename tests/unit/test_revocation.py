"""Partitions are given up even if their last checkpoint hangs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tradeflow.transport import Consumer


def consumer(last_commit: float) -> Consumer:
    made = object.__new__(Consumer)
    made.app = SimpleNamespace(conf=SimpleNamespace(broker_session_timeout=0.2))  # type: ignore[assignment]

    async def force_commit() -> bool:
        await asyncio.sleep(last_commit)
        return True

    made.force_commit = force_commit  # type: ignore[method-assign, assignment]
    return made


async def test_a_last_checkpoint_that_hangs_holds_the_group_up_no_longer_than_a_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with asyncio.timeout(5):
        await consumer(60)._commit_a_last_time()
    assert "without a last checkpoint: it took longer than 0.2 s" in caplog.text


async def test_a_last_checkpoint_in_time_is_nothing_to_talk_of(caplog: pytest.LogCaptureFixture) -> None:
    await consumer(0)._commit_a_last_time()
    assert not caplog.text
