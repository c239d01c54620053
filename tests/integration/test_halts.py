"""Operators' words on a real Kafka: in force on every worker in under a second, and after a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradeflow.demo.stack import Stack, get
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TOKEN = "a-token-of-the-tests"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("operators"),
        simulator_options=("--rate", "60", "--depth", "50"),
    )
    stack.env |= {
        "STRATEGIES": "tests.integration.busy:Busy",
        "PYTHONPATH": str(ROOT),
        "TRADEFLOW_TOKEN": TOKEN,
        "TRADEFLOW_SESSION_TIMEOUT": "6",
    }
    with stack:
        yield stack


def until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = condition()
        except OSError:  # while partitions are being shared out
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def post(stack: Stack, path: str, **body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        stack.web_url + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return dict(json.load(response))


def verdicts(stack: Stack, since: int) -> list[dict[str, Any]]:
    """The gate's, later than that event time; newest first."""
    found = stack.get("/executions?limit=2000")["executions"]
    return [one for one in found if one["number"] == -1 and one["receipt_time"] > since]


def runs(url: str) -> list[dict[str, Any]]:
    """Of all workers; none if one of them doesn't answer."""
    said = get(f"{url}/strategies")
    return [] if said["silent_workers"] else list(said["strategies"])


def event_time(stack: Stack) -> int:
    """Of the partition that is farthest: what was decided before is not later than that."""
    return max(run["event_time"] for run in until(lambda: runs(stack.web_url), "all workers answer"))


def steered(url: str) -> set[str]:
    """What the runs of all workers say of operators."""
    return {run["steered"] for run in runs(url)}


def every_symbol_has(stack: Stack, status: str, since: int) -> bool:
    """A verdict of that kind later than that event time."""
    symbols = {book["symbol"] for book in stack.get("/books")["books"] if book["exchange"] == "binance"}
    return {one["symbol"] for one in verdicts(stack, since) if one["status"] == status} == symbols


def test_halt_and_resume_on_every_worker_and_over_a_restart(stack: Stack) -> None:
    first = stack.children[-1]
    second = stack.start_worker(free_port())
    until(
        lambda: len({run["worker"] for run in stack.get("/strategies")["strategies"]}) == 2, "both own some"
    )
    until(lambda: every_symbol_has(stack, "SUBMITTED", 0), "orders pass")

    took: list[float] = []
    while not took or (min(took) >= 1 and len(took) < 3):  # a busy machine may be late once
        if took:
            post(stack, "/control/resume")
            until(lambda: steered(stack.web_url) == {""}, "resumed")
        asked = time.monotonic()
        said = post(stack, "/control/halt", reason="a test")
        assert said["said"] == "halt" and said["offset"] >= 0
        words = until(lambda: (found := steered(stack.web_url)) and "" not in found and found, "halted")
        took.append(time.monotonic() - asked)
    assert len(words) == 1 and next(iter(words)).startswith("everything: halt (by ")
    assert min(took) < 1, f"in force after {took} s"
    since = event_time(stack)
    until(lambda: every_symbol_has(stack, "DENIED", since), "orders are denied")
    after = verdicts(stack, since)
    assert {one["reason_code"] for one in after} == {"HALTED"}
    assert "a test" in after[0]["reason"]

    for worker in (first, second):
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        stack.children.remove(worker)
    since = time.time_ns()
    stack.web_url = ""
    stack.start_worker(free_port())
    until(lambda: every_symbol_has(stack, "DENIED", since), "denied after the restart")
    assert {one["status"] for one in verdicts(stack, since)} == {"DENIED"}

    command = [sys.executable, "-m", "tradeflow.cli", "resume"]
    env = {**os.environ, **stack.env, "KAFKA_BROKERS": stack.brokers}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    until(lambda: steered(stack.web_url) == {""}, "resumed")
    since = event_time(stack)
    until(lambda: every_symbol_has(stack, "SUBMITTED", since), "orders pass again")


def test_parameters_change_while_it_runs(stack: Stack) -> None:
    before = {run["params_hash"] for run in stack.get("/strategies")["strategies"]}
    post(stack, "/control/parameters", strategy="busy", parameters={"size": "0.02"})
    until(
        lambda: {r["parameters"]["size"] for r in stack.get("/strategies")["strategies"]} == {"0.02"}, "set"
    )
    after = {run["params_hash"] for run in stack.get("/strategies")["strategies"]}
    assert len(after) == 1 and not after & before
    order = until(
        lambda: next((o for o in stack.get("/orders?limit=100")["orders"] if o["size"] == "0.02"), None),
        "used",
    )
    assert order["params_hash"] in after


def test_what_would_do_nothing_is_refused(stack: Stack) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(stack, "/control/halt", strategy="nobody")
    assert caught.value.code == 422
    assert b"STRATEGIES has no 'nobody', but busy" in caught.value.read()


def test_positions_and_executions_are_served(stack: Stack) -> None:
    positions = until(lambda: stack.get("/positions")["positions"], "published")
    assert {"size", "realized", "unrealized", "balances", "fees", "age_ms"} <= positions[0].keys()
    whole = until(lambda: expired(stack), "an order has ended")
    assert [one["status"] for one in whole["executions"]][:1] == ["SUBMITTED"]
    assert whole["executions"][-1]["status"] == "EXPIRED" and whole["order"]["status"] == "EXPIRED"


def expired(stack: Stack) -> dict[str, Any] | None:
    """One that ended by itself; a halt has canceled others."""
    for order in stack.get("/orders?limit=50")["orders"]:
        if order["status"] == "EXPIRED":
            whole = stack.get(f"/orders/{order['order_id']}")
            if whole["cancel"] is None:
                return whole
    return None
