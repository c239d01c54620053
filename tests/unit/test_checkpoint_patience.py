"""A checkpoint that hangs holds neither the next one nor a rebalance up, and a dear one is followed by a rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tradeflow.worker.transport import Consumer


def consumer(*lasting: float) -> tuple[Consumer, list[float]]:
    """Its checkpoints last so long, one after the other; and those that came to their end."""
    made, ended, left = object.__new__(Consumer), [], list(lasting)
    made.app = SimpleNamespace(conf=SimpleNamespace(broker_session_timeout=0.2))  # type: ignore[assignment]
    made._needs_seek = False
    made._checkpoint_lock = asyncio.Lock()

    async def checkpoint(*_: Any) -> bool:
        seconds = left.pop(0)
        await asyncio.sleep(seconds)
        ended.append(seconds)
        return True

    made._checkpoint = checkpoint  # type: ignore[method-assign, assignment]
    return made, ended


async def test_one_that_hangs_is_left_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    made, ended = consumer(60, 0)
    async with asyncio.timeout(5):
        hanging = asyncio.create_task(made._commit_tps([], True))
        await asyncio.sleep(0)
        assert not await hanging
        assert await made._commit_tps([], True)
    assert ended == [0]
    assert "a checkpoint took longer than 0.2 s and is left to the next" in caplog.text


async def test_who_waits_behind_one_that_hangs_gives_up_as_well() -> None:
    made, ended = consumer(60, 60)
    async with asyncio.timeout(5):
        assert await asyncio.gather(made._commit_tps([], True), made._commit_tps([], True)) == [False, False]
    assert not ended


async def test_an_error_of_the_checkpoint_itself_is_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    made, _ = consumer()

    async def failing(*_: Any) -> bool:
        raise TimeoutError("of something inside")

    made._checkpoint = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(TimeoutError, match="of something inside"):
        await made._commit_tps([], True)
    assert not caplog.text


async def test_a_turn_that_comes_too_soon_after_a_dear_one_is_left_out() -> None:
    made, due, committed = object.__new__(Consumer), [True, False, False, True], []

    async def turns(*_: Any, **__: Any) -> AsyncIterator[float]:
        for is_due in due:
            made._pace = SimpleNamespace(is_due=is_due)  # type: ignore[assignment]
            yield 1.0

    async def commit() -> None:
        committed.append(made._pace.is_due)

    made.commit_interval = 1.0
    made.itertimer = turns  # type: ignore[method-assign]
    made.commit = commit  # type: ignore[method-assign, assignment]
    await Consumer._commit_handler.fun(made)
    assert committed == [True, True]
