"""StateTables: a worker's start waits for its agents, and for no clock."""

from __future__ import annotations

import asyncio

import faust
import pytest
from faust.types import TP

from tradeflow.worker.outbox import Sent
from tradeflow.worker.state_tables import StateTable, StateTables


@pytest.fixture
async def tables(monkeypatch):
    app = faust.App("state-tables", store="memory://", TableManager=StateTables)
    assert type(app.tables) is StateTables
    app.tables.steps = []

    async def channels():
        app.tables.steps.append("channels")

    async def recovery():
        app.tables.steps.append("recovery")

    async def sleep(*_, **__):
        raise AssertionError("nobody should sleep here")

    monkeypatch.setattr(app.tables, "_update_channels", channels)
    monkeypatch.setattr(app.tables.recovery, "start", recovery)
    monkeypatch.setattr(app.tables, "sleep", sleep)
    return app.tables


async def test_tables_are_registered_as_soon_as_all_agents_have_started(tables):
    starting = asyncio.ensure_future(tables.on_start())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not tables.steps and not starting.done()

    await tables.app.agents.on_start()
    await starting
    assert tables.steps == ["channels", "recovery"]


@pytest.mark.parametrize(
    ("batches", "persisted"),
    [
        ([Sent(1, 2), Sent(4, 3)], 4),
        ([Sent(2, 2)], None),  # 0 is somebody else's
        ([Sent(1, 2), Sent(5, 3)], 1),  # and so is 2
    ],
)
def test_recovery_goes_on_before_what_somebody_else_has_written(tmp_path, batches, persisted):
    app = faust.App("state-table", store="rocksdb://", datadir=str(tmp_path))
    table = StateTable(app, name="some", partitions=1)
    table.store(0, [(b"a", b"1"), (b"b", b"2")], batches)
    assert [table.stored(0, key) for key in (b"a", b"b", b"c")] == [b"1", b"2", None]
    assert table.persisted_offset(TP(table.changelog_topic.get_topic_name(), 0)) == persisted
