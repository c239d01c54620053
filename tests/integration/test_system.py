"""The whole system on real parts: Kafka, simulated exchanges, workers; what it serves is held to the truth."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from tradeflow import topics
from tradeflow.demo.stack import Stack, get
from tradeflow.messages import FeedClaim
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SESSION_TIMEOUT = 6.0
SILENCE_MS = 5_000
COMPARISONS = 2_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("system"),
        simulator_options=("--rate", "200", "--depth", "100"),
    )
    stack.env["TRADEFLOW_SESSION_TIMEOUT"] = str(SESSION_TIMEOUT)
    with stack:
        wait_live(stack)
        yield stack


def wait_live(stack: Stack, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while waiting := [book for book in stack.get("/books")["books"] if book["state"] != "live"]:
        stack.check()
        assert time.monotonic() < deadline, waiting
        time.sleep(0.2)


def places(stack: Stack) -> list[tuple[str, str]]:
    return [(book["exchange"], book["symbol"]) for book in stack.get("/books")["books"]]


def served(url: str, exchange: str, symbol: str) -> dict[str, Any]:
    """The whole book; asked again while partitions are being shared out."""
    for _ in range(100):
        try:
            return dict(get(f"{url}/books/{exchange}/{symbol}?depth=100000"))
        except urllib.error.HTTPError as error:
            assert error.code == 503, error.read()
            time.sleep(0.1)
    raise AssertionError(f"{exchange}/{symbol} was not served within 10 s")


def served_alike(urls: list[str], exchange: str, symbol: str) -> list[dict[str, Any]]:
    """The book from each worker, of one epoch; asked again while its feed is moving to another worker."""
    for _ in range(100):
        answers = [served(url, exchange, symbol) for url in urls]
        if len({answer["epoch"] for answer in answers}) == 1:
            return answers
        time.sleep(0.1)
    raise AssertionError(f"{exchange}/{symbol}: the workers answer with {[a['epoch'] for a in answers]}")


def truth(stack: Stack, book: dict[str, Any]) -> dict[str, Any] | None:
    """The simulator's book at the served book's moment; None where its snapshot bore no time."""
    if book["exchange"] == "binance":
        at = f"sequence={book['exchange_sequence']}"
    elif book["exchange_time"]:
        at = f"time={book['exchange_time']}"
    else:
        return None
    url = stack.env["TRADEFLOW_SIMULATOR_URL"]
    return dict(get(f"{url}/truth/{book['exchange']}/{book['symbol']}?{at}"))


def compare(stack: Stack, url: str, count: int) -> Counter[str]:
    """Compare so many live books, in turn, with the truth; returns how many of each exchange."""
    compared: Counter[str] = Counter()
    for exchange, symbol in itertools.cycle(places(stack)):
        book = served(url, exchange, symbol)
        if book["state"] == "live" and (true := truth(stack, book)):
            assert book["bids"] == true["bids"], (exchange, symbol, book["exchange_time"], book["sequence"])
            assert book["asks"] == true["asks"], (exchange, symbol, book["exchange_time"], book["sequence"])
            compared[exchange] += 1
        if compared.total() >= count:
            return compared
    raise AssertionError


def test_every_book_is_live_and_both_strategies_order(stack: Stack) -> None:
    exchanges = Counter(exchange for exchange, _ in places(stack))
    assert set(exchanges) == {"binance", "bitmex", "coinbase", "kraken"}
    assert min(exchanges.values()) >= 3
    deadline = time.monotonic() + 60
    while not {"imbalance", "arbitrage"} <= {
        order["strategy"] for order in stack.get("/orders?limit=10000")["orders"]
    }:
        assert time.monotonic() < deadline, stack.get("/stats")
        time.sleep(0.5)
    orders = stack.get("/orders?limit=10000")["orders"]
    order = next(order for order in orders if order["cause"]["kind"] == "book")
    assert order["cause"]["epoch"] >= 0
    whole = stack.get(f"/orders/{order['order_id']}")
    assert whole["order"].keys() == order.keys() and whole["order"]["size"] == order["size"]
    deadline = time.monotonic() + 60
    while not stack.get("/stats")["executions"].get("FILLED"):
        assert time.monotonic() < deadline, stack.get("/executions")
        time.sleep(0.5)
    # A fill is counted when it is sent, and is part of a position when it has come back by the log.
    while not any(position["size"] != "0" for position in stack.get("/positions")["positions"]):
        assert time.monotonic() < deadline, stack.get("/positions")
        time.sleep(0.5)
    while not any(run["pnl"] for run in stack.get("/strategies")["strategies"]):
        assert time.monotonic() < deadline, stack.get("/strategies")
        time.sleep(0.5)
    stats = stack.get("/stats")
    assert stats["conflicting_orders"] == 0
    assert stats["dead_letters"] == 0


def test_served_books_equal_the_exchanges_books(stack: Stack) -> None:
    compared = compare(stack, stack.web_url, COMPARISONS)
    assert compared.total() >= COMPARISONS
    assert min(compared.values()) > COMPARISONS / 8


def test_views_answer_as_documented(stack: Stack) -> None:
    book = get(f"{stack.web_url}/books/binance/BTC-USDT?depth=5")
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert {"state", "reason", "epoch", "sequence", "exchange_sequence", "kafka", "age_ms"} <= book.keys()
    assert book["since"] <= book["last_verified"] <= book["event_time"]
    tops = get(f"{stack.web_url}/top-of-book/BTC-USDT")["exchanges"]
    assert {top["exchange"] for top in tops} == {"binance", "coinbase", "kraken"}
    assert all({"bid", "ask", "mid", "spread", "spread_pct"} <= top.keys() for top in tops)
    trades = get(f"{stack.web_url}/trades/BTC-USDT?limit=10")["trades"]
    assert 0 < len(trades) <= 10
    assert [t["receipt_time"] for t in trades]
    feeds = get(f"{stack.web_url}/feeds")["feeds"]
    assert {feed["exchange"] for feed in feeds} == {"binance", "bitmex", "coinbase", "kraken"}
    assert all(feed["state"] == "live" for feed in feeds)
    assert get(f"{stack.web_url}/feeds")["silent_workers"] == []
    told = get(f"{stack.web_url}/instruments")
    assert [(one["exchange"], one["symbol"]) for one in told["instruments"]] == sorted(places(stack))
    assert all(one["tick"] and one["lot"] for one in told["instruments"]) and told["silent_workers"] == []
    assert get(f"{stack.web_url}/health")["status"] == "ok"
    assert get(f"{stack.web_url}/ready")["status"] == "ready"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/books/binance/DOGE-USDT", 404, "DOGE-USDT is not served"),
        ("/books/binance/BTC-USD-PERP", 404, "binance has no BTC-USD-PERP"),
        ("/books/nowhere/BTC-USDT", 404, "binance/BTC-USDT"),
        ("/books/binance/BTC-USDT?depth=-1", 400, "a whole number from 1 to"),
        ("/trades/!!", 404, "write it as BTC-USDT"),
        ("/orders/unknown", 404, "no order"),
    ],
)
def test_unknown_names_and_bad_parameters_are_told(stack: Stack, path: str, status: int, says: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(stack.web_url + path)
    assert caught.value.code == status
    assert says in caught.value.read().decode()


async def claim_from_elsewhere(brokers: str, feed: dict[str, Any]) -> int:
    """A claim as a worker writes it that has lost the feed without knowing; returns its epoch."""
    claim = FeedClaim(
        feed=feed["feed"],
        exchange=feed["exchange"],
        symbols=feed["symbols"],
        worker="a zombie",
        time=time.time_ns(),
    )
    async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
        value = msgspec.json.encode(claim)
        return int((await producer.send_and_wait(topics.FEED_CLAIMS, value, partition=0)).offset)


def test_an_owner_answers_a_foreign_claim_with_a_higher_one(stack: Stack) -> None:
    feed = stack.get("/feeds")["feeds"][0]
    foreign = asyncio.run(claim_from_elsewhere(stack.brokers, feed))
    assert foreign > feed["epoch"]
    deadline = time.monotonic() + 10
    for symbol in feed["symbols"]:
        while (book := served(stack.web_url, feed["exchange"], symbol))["epoch"] <= foreign:
            assert time.monotonic() < deadline, book
            time.sleep(0.1)
    wait_live(stack)
    compare(stack, stack.web_url, 30)


@pytest.mark.faults
def test_a_worker_that_was_frozen_serves_no_old_book_as_live(stack: Stack) -> None:
    worker, frozen, books = stack.children[1].pid, SESSION_TIMEOUT + 2, places(stack)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(frozen)
    os.kill(worker, signal.SIGCONT)
    woke, told, ring = time.monotonic(), Counter[str](), itertools.cycle(books)
    while time.monotonic() - woke < 2.0:
        for book in stack.get("/books")["books"]:
            # Even the top of a quiet book is published again every 5 s, give or take two.
            assert book["state"] != "live" or book["age_ms"] < 7_100, book
            told["listed " + book["state"]] += 1
        exchange, symbol = next(ring)
        try:
            book = get(f"{stack.web_url}/books/{exchange}/{symbol}?depth=1")
        except urllib.error.HTTPError as error:
            assert error.code == 503
            told["rebalancing"] += 1
        else:
            assert book["state"] != "live" or book["age_ms"] < SILENCE_MS + 500, book
            told["served " + book["state"]] += 1
    assert told["listed stale"], told
    wait_live(stack)
    compare(stack, stack.web_url, 30)


@pytest.mark.faults
def test_two_workers_answer_alike_and_one_takes_over_from_the_other(stack: Stack) -> None:
    port = free_port()
    second = stack.start_worker(port)
    first_url, second_url = stack.web_url, f"http://127.0.0.1:{port}"
    wait_live(stack)
    for exchange, symbol in places(stack):
        # Not the same instant, so each is held to the truth; provenance must agree.
        one, other = served_alike([first_url, second_url], exchange, symbol)
        assert one["kafka"]["partition"] == other["kafka"]["partition"]
        for book in (one, other):
            if book["state"] == "live" and (true := truth(stack, book)):
                assert (book["bids"], book["asks"]) == (true["bids"], true["asks"])
    assert 0 < len(get(f"{second_url}/ready")["partitions"]) < 4
    assert {feed["exchange"] for feed in get(f"{second_url}/feeds")["feeds"]} == {
        "binance",
        "bitmex",
        "coinbase",
        "kraken",
    }

    os.kill(stack.children[1].pid, signal.SIGKILL)
    killed = time.monotonic()
    stack.children[1].wait()
    assert get(f"{second_url}/feeds")["silent_workers"] == [first_url]
    stack.children.pop(1)
    stack.web_url = second_url
    waiting = list(places(stack))
    answer: Any = None
    while waiting:
        assert time.monotonic() - killed < SESSION_TIMEOUT + 5, f"not served again: {waiting}: {answer}"
        second.check()
        try:
            answer = get(f"{second_url}/books/{waiting[0][0]}/{waiting[0][1]}?depth=1")
        except OSError as error:
            answer = error
            time.sleep(0.1)
            continue
        # Fed again: live, and by a record that arrived after the kill.
        if (
            answer["state"] == "live"
            and answer["age_ms"] < (time.monotonic() - killed) * 1000 - SESSION_TIMEOUT * 500
        ):
            waiting.pop(0)
    compare(stack, second_url, 200)
