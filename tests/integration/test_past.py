"""Earlier moments and the reasons of orders, from Kafka: equal to the simulators' true books."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.faults.cluster import _read
from tests.faults.live_run import live_stack
from tradeflow import topics
from tradeflow.demo.stack import Stack, get
from tradeflow.market.market import time_of
from tradeflow.messages import Delta, MarketEvent, Snapshot
from tradeflow.partitions import load_maps
from tradeflow.strategies.imbalance import Imbalance

MOMENTS = int(os.environ.get("TRADEFLOW_MOMENTS", "60"))

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300 + MOMENTS)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with live_stack(tmp_path_factory.mktemp("past"), rate=150, TRADEFLOW_KEYFRAME_INTERVAL="2") as stack:
        deadline = time.monotonic() + 150
        while _filled(stack) < 3 or _frames(stack) < 60:
            stack.check()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield stack


def _filled(stack: Stack) -> int:
    """Orders of the strategy that an explanation is asked for."""
    orders = asked(stack, "/orders?limit=1000")["orders"]
    return sum(
        one["strategy"] == "imbalance" and one["status"] == "FILLED" and one["cause"]["kind"] == "book"
        for one in orders
    )


def _frames(stack: Stack) -> int:
    return sum(map(len, asyncio.run(_read(stack.brokers, topics.KEYFRAMES)).values()))


Log = list[tuple[MarketEvent, int]]
"""(event, event time after it) in order."""


@pytest.fixture(scope="module")
def logs(stack: Stack) -> dict[int, Log]:
    decode = msgspec.json.Decoder(MarketEvent).decode
    found: dict[int, Log] = {}
    for partition, records in asyncio.run(_read(stack.brokers, topics.MARKET_EVENTS)).items():
        now = 0
        for record in records:
            event = decode(record.value)
            now = max(now, time_of(event, record.timestamp * 1_000_000))
            found.setdefault(partition, []).append((event, now))
    return found


def asked(stack: Stack, path: str) -> Any:
    """Some moments are asked for while the worker is busy with others'."""
    return get(stack.web_url + path, timeout=30)


def truth(stack: Stack, book: dict[str, Any]) -> dict[str, Any] | None:
    if book["exchange"] == "binance":
        at = f"sequence={book['exchange_sequence']}"
    elif book["exchange_time"]:
        at = f"time={book['exchange_time']}"
    else:
        return None  # BitMEX's partials bear no time
    url = stack.env["TRADEFLOW_SIMULATOR_URL"]
    return dict(get(f"{url}/truth/{book['exchange']}/{book['symbol']}?{at}"))


def test_random_moments_equal_the_true_books(stack: Stack, logs: dict[int, Log]) -> None:
    draw, compared, took = random.Random(1), Counter[str](), []
    books: dict[tuple[str, str], Log] = {}
    for log in logs.values():
        for event, now in log:
            if isinstance(event, Delta | Snapshot):
                books.setdefault((event.exchange, event.symbol), []).append((event, now))
    assert len(books) == 15
    maps = load_maps()
    for number in range(MOMENTS):
        exchange, symbol = sorted(books)[number % len(books)]
        log, of_book = logs[maps.symbols[symbol]], books[exchange, symbol]
        started = time.monotonic()
        if number % 2:
            event, _ = draw.choice(of_book)
            query = f"epoch={event.epoch}&sequence={event.sequence}"
            expected = event
        else:
            moment = draw.randrange(of_book[0][1], log[-1][1])
            query = f"at={moment}"
            expected = [event for event, now in of_book if now <= moment][-1]
        book = asked(stack, f"/books/{exchange}/{symbol}?depth=100000&{query}")
        took.append(time.monotonic() - started)
        assert (book["epoch"], book["sequence"]) == (expected.epoch, expected.sequence), (
            exchange,
            symbol,
            query,
        )
        assert book["age_ms"] is None
        true = truth(stack, book)
        if true and book["state"] == "live":
            assert (book["bids"], book["asks"]) == (true["bids"], true["asks"]), (exchange, symbol, query)
            compared[exchange] += 1
    assert compared.total() > MOMENTS * 0.8 and len(compared) == 4
    took.sort()
    print(f"{MOMENTS} moments: p50 {took[len(took) // 2]:.3f} s, p95 {took[int(len(took) * 0.95)]:.3f} s")


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("at=2020-01-01", 404, "nothing is known of before that"),
        ("at=2999-01-01", 404, "ask for an earlier moment"),
        ("at=yesterday", 400, "write 2026-01-31T12:00:00Z"),
        ("epoch=1", 400, "needed together"),
        ("epoch=0&sequence=999999999", 404, ""),
        ("epoch=999999&sequence=0", 404, "doesn't hold that record"),
    ],
)
def test_moments_that_are_not_there_are_told(stack: Stack, query: str, status: int, says: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked(stack, f"/books/kraken/BTC-USDT?{query}")
    assert caught.value.code == status
    assert says in caught.value.read().decode()


def test_an_order_is_explained(stack: Stack) -> None:
    orders = [one for one in stack.get("/orders?limit=100")["orders"] if one["cause"]["kind"] == "book"]
    order = next(one for one in orders if one["strategy"] == "imbalance" and one["status"] == "FILLED")
    said = asked(stack, f"/orders/{order['order_id']}/explain?depth=100000")
    assert said["order"].items() <= order.items()
    cause = order["cause"]
    books = {(book["exchange"], book["symbol"]): book for book in said["books"]}
    assert {symbol for _, symbol in books} == {order["symbol"]} and len(books) >= 1
    seen = books[cause["exchange"], cause["symbol"]]
    assert (seen["epoch"], seen["sequence"], seen["state"]) == (cause["epoch"], cause["sequence"], "live")
    for book in books.values():
        if (true := truth(stack, book)) and book["state"] == "live":
            assert (book["bids"], book["asks"]) == (true["bids"], true["asks"])
    assert said["missing"] == []
    assert said["parameters"]["enter"] == str(Imbalance().enter)
    assert said["executions"][0]["status"] == "SUBMITTED"
    assert said["executions"][-1]["status"] == "FILLED"
    stages = [stage["stage"] for stage in said["stages"]]
    assert stages[0] == "exchange" and stages[1] == "receipt"
    assert {"raw", "market-events", "order", "gate's door", "gate: SUBMITTED", "execution: FILLED"} <= set(
        stages
    )
    by_kafka = [
        stage["time"] for stage in said["stages"] if stage["stage"] not in ("exchange", "receipt", "book")
    ]
    assert by_kafka == sorted(by_kafka), "each step comes after the one before"


def test_the_command_line_explains_the_same(stack: Stack) -> None:
    order = next(one for one in stack.get("/orders?limit=100")["orders"] if one["status"] == "FILLED")
    said = tradeflow(stack, "explain", order["order_id"], "--json", "--depth", "20")
    assert json.loads(said.stdout) == asked(stack, f"/orders/{order['order_id']}/explain?depth=20")
    table = tradeflow(stack, "explain", order["order_id"]).stdout
    assert order["order_id"] in table and "where the time went" in table and "gate: SUBMITTED" in table


def test_an_order_that_nobody_knows_is_told(stack: Stack) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked(stack, "/orders/ffffffffffffffffffffffffffffffff/explain")
    assert caught.value.code == 404


def tradeflow(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **stack.env, "KAFKA_BROKERS": stack.brokers}
    command = [sys.executable, "-m", "tradeflow.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_a_recording_from_now_on_begins_with_the_workers_checkpoint(stack: Stack, tmp_path: Path) -> None:
    file = str(tmp_path / "now.rec")
    recorded = tradeflow(stack, "record", file, "--follow", "--seconds", "6")
    assert recorded.returncode == 0, recorded.stderr
    assert "other terms" not in recorded.stderr
    replayed = tradeflow(stack, "replay", file)
    assert replayed.returncode == 0, replayed.stdout
    assert "mid-stream" not in replayed.stdout and "not through" not in replayed.stdout
    identical = re.search(r"orders: .* (\d+) identical", replayed.stdout)
    assert identical and int(identical[1]), replayed.stdout


def test_one_from_a_moment_on_claims_nothing_of_its_orders(stack: Stack, tmp_path: Path) -> None:
    file, now = str(tmp_path / "moment.rec"), time.time_ns()
    bounds = ["--from", str(now - 12 * 10**9), "--to", str(now - 2 * 10**9)]
    recorded = tradeflow(stack, "record", file, *bounds)
    assert recorded.returncode == 0, recorded.stderr
    replayed = tradeflow(stack, "replay", file)
    assert replayed.returncode == 0, replayed.stdout
    assert "partitions 0, 1, 2, 3 begin in mid-stream, without a checkpoint" in replayed.stdout


def test_a_recorder_that_differs_from_the_workers_is_told(stack: Stack, tmp_path: Path) -> None:
    stack.env["STRATEGIES"] = "imbalance"
    try:
        recorded = tradeflow(stack, "record", str(tmp_path / "other.rec"), "--from", str(time.time_ns()))
    finally:
        del stack.env["STRATEGIES"]
    assert "other terms than this directory and environment: strategy arbitrage" in recorded.stderr


def test_kafka_itself_is_replayed_and_backtested(stack: Stack) -> None:
    replayed = tradeflow(stack, "replay", "--from", "beginning")
    assert replayed.returncode == 0, replayed.stdout
    assert "orders: identical, SHA-256" in replayed.stdout
    tested = tradeflow(stack, "backtest", "--from", "beginning", "--sample", "1")
    assert tested.returncode == 0, tested.stderr
    assert "P&L after fees" in tested.stdout


def test_a_topic_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    recorded = tradeflow(stack, "record", str(tmp_path / "no.rec"), "--topics", "nothing")
    assert recorded.returncode == 1
    assert "no topic 'nothing'" in recorded.stderr
