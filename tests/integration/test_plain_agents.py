"""A plain agent's orders on a real Kafka: through the gate, executed, known to all, and the same in a replay."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.faults.live_run import record
from tradeflow import topics
from tradeflow.demo.stack import Stack, get
from tradeflow.partitions import load_maps
from tradeflow.ports import free_port
from tradeflow.replay.command import replay_file
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


class AgentStack(Stack):
    """Its worker is the documented example's."""

    worker_command = ("faust", "-A", "docs.examples.plain_orders", "worker", "-l", "info")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = AgentStack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("agents"),
        simulator_options=("--rate", "60", "--depth", "50"),
    )
    risk = stack.data_dir / "risk.toml"
    risk.write_text("[default]\nmax_signal_age_ms = 60_000")  # however busy the machine is
    stack.env |= {"PYTHONPATH": str(Path(__file__).parents[2]), "TRADEFLOW_RISK_FILE": str(risk)}
    with stack:
        yield stack


def asked(stack: Stack, path: str) -> Any:
    return get(stack.web_url + path, timeout=60)


def until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def agents_orders(stack: Stack, status: str) -> list[dict[str, Any]]:
    orders = asked(stack, "/orders?limit=1000")["orders"]
    return [one for one in orders if one["strategy"] == "spread-maker" and one["status"] == status]


def test_its_orders_pass_the_gate_and_are_executed(stack: Stack) -> None:
    until(lambda: agents_orders(stack, "CANCELED") or agents_orders(stack, "FILLED"), "one has ended", 120)
    (order, *_) = agents_orders(stack, "CANCELED") or agents_orders(stack, "FILLED")
    executions = asked(stack, f"/orders/{order['order_id']}")["executions"]
    assert [one["status"] for one in executions[:2]] == ["SUBMITTED", "ACCEPTED"]
    said = asked(stack, "/strategies")
    (run,) = [run for run in said["strategies"] if run["strategy"] == "spread-maker"]
    (total,) = [total for total in said["totals"] if total["strategy"] == "spread-maker"]
    assert {name: run[name] for name in total} == total
    assert (run["class"], run["symbols"]) == ("PlainAgent", ["BTC-USDT"]) and run["orders"] >= 1
    explained = asked(stack, f"/orders/{order['order_id']}/explain")
    assert explained["order"]["cause"]["kind"] == "agent" and explained["missing"] == []
    assert any(book["exchange"] == order["exchange"] for book in explained["books"])


def test_any_client_may_send_one_and_a_repetition_counts_once(stack: Stack) -> None:
    """As docs/strategies.md shows it."""
    order = {
        "v": 1,
        "order_id": "from-somewhere-else-1",
        "strategy": "my-script",
        "exchange": "kraken",
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "MARKET",
        "price": None,
        "size": "0.01",
        "event_time": time.time_ns(),
        "cause": {"kind": "agent"},
    }

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=stack.brokers) as producer:
            for _ in range(3):
                await producer.send_and_wait(
                    topics.ORDERS,
                    json.dumps(order).encode(),
                    key=b"BTC-USDT",
                    partition=load_maps().symbols["BTC-USDT"],
                )

    asyncio.run(send())
    whole = until(lambda: _ended(stack, order["order_id"]), "it is filled")
    statuses = [one["status"] for one in whole["executions"]]
    assert statuses[:2] == ["SUBMITTED", "ACCEPTED"] and statuses[-1] == "FILLED"
    assert asked(stack, "/stats")["conflicting_orders"] == 0
    said = asked(stack, "/strategies")["strategies"]
    (run,) = [run for run in said if run["strategy"] == "my-script"]
    assert run["orders"] == 1 and "USDT" in run["pnl"]


def _ended(stack: Stack, order_id: str) -> dict[str, Any] | None:
    if not any(one["order_id"] == order_id for one in asked(stack, "/orders?limit=1000")["orders"]):
        return None
    whole = asked(stack, f"/orders/{order_id}")
    return whole if whole["order"]["status"] in ("FILLED", "EXPIRED", "DENIED", "REJECTED") else None


def test_a_replay_decides_the_same(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one: it ends the market."""
    monkeypatch.setenv("TRADEFLOW_RISK_FILE", stack.env["TRADEFLOW_RISK_FILE"])  # as the workers have it
    simulator = stack.children.pop(0)
    simulator.stop()
    file = tmp_path / "run.rec"
    record(stack, file)
    replay, settled = replay_file(file)
    orders, verdicts = replay.finish(settled)
    assert orders.same and verdicts.same, (orders.first, verdicts.first)
    decided = {row.order.strategy for market in replay.markets.values() for row in rows(market)}
    assert {"spread-maker", "my-script"} <= decided


def rows(market: Any) -> list[Any]:
    return list(market.trading.orders._known.values())
