"""The programs that the documentation shows: each runs as it stands there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tradeflow.market import BookChange
from tradeflow.partitions import load_maps
from tradeflow.strategies import load_strategies
from tradeflow.worker.plain_orders import plain_order

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_strategys_own_test_passes():
    dip = importlib.import_module("docs.examples.dip")
    dip.test_dip()


def test_the_strategy_loads_from_the_directory_that_holds_it(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.delitem(sys.modules, "dip", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    strategies = load_strategies(["imbalance", "dip:Dip"], load_maps())
    assert [strategy.name for strategy in strategies] == ["imbalance", "dip"]


def test_a_strategy_needs_neither_faust_nor_kafka():
    code = (
        "import sys, docs.examples.dip as dip; dip.test_dip();"
        "print(sorted({'faust', 'aiokafka', 'cryptofeed'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=EXAMPLES.parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def change(**what):
    fields = {
        "exchange": "binance",
        "symbol": "BTC-USDT",
        "state": "live",
        "bid": ("100", "1"),
        "ask": ("100.05", "1"),
        "bids": [("100", "1")],
        "asks": [("100.05", "1")],
        "epoch": 1,
        "sequence": 1,
        "event_time": 1,
    }
    return BookChange(**{**fields, **what})


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({}, ""),
        ({"ask": ("100.06", "1")}, "binance BTC-USDT: 100 / 100.06\n"),
        ({"ask": ("107", "1"), "state": "stale"}, ""),
        ({"bid": None, "state": "broken"}, ""),
        ({"missed": 7}, "binance BTC-USDT: missed 7 changes\n"),
    ],
)
async def test_the_plain_agent_reads_book_changes(capsys, what, said):
    plain_agent = importlib.import_module("docs.examples.plain_agent")
    async with plain_agent.wide_spreads.test_context() as agent:
        await agent.put(change(**what))
    assert capsys.readouterr().out == said


async def test_the_plain_agent_orders_while_the_spread_is_wide(monkeypatch):
    plain_orders = importlib.import_module("docs.examples.plain_orders")
    sent = []

    class Orders:
        async def send(self, action, *, strategy, change):
            order = plain_order(action, strategy, change)
            sent.append(("NEW", order.exchange, order.price))
            return order

        async def cancel(self, order, *, change):
            sent.append(("CANCEL", order.exchange, change.sequence))

    monkeypatch.setattr(plain_orders, "orders", Orders())
    async with plain_orders.spread_maker.test_context() as agent:
        for sequence, ask in enumerate(("100.01", "100.06", "100.07", "100.02")):
            await agent.put(change(ask=(ask, "1"), sequence=sequence))
        await agent.put(change(ask=("107", "1"), exchange="kraken", state="stale"))
    assert sent == [("NEW", "binance", "100"), ("CANCEL", "binance", 3)]


def test_the_strategys_test_on_paper_passes(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.delitem(sys.modules, "dip", raising=False)
    dip_on_paper = importlib.import_module("docs.examples.dip_on_paper")
    dip_on_paper.test_dip_on_paper()
