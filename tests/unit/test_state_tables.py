"""StateTables: a worker's start waits for its agents, and for no clock."""

from __future__ import annotations

import asyncio

import faust
import pytest

from tradeflow.worker.state_tables import StateTables


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
