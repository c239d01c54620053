"""The verbs that look at a running system, on a real one: Kafka, simulated exchanges, a worker."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.integration.test_system import wait_live
from tradeflow import topics
from tradeflow.cli import root
from tradeflow.demo.stack import Stack
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

COMMAND = [sys.executable, "-m", "tradeflow.cli"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Slow enough that its worker is never behind."""
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("verbs"),
        simulator_options=("--rate", "40", "--depth", "30"),
    )
    with stack:
        wait_live(stack)
        yield stack


def environment(stack: Stack) -> dict[str, str]:
    port = stack.web_url.rpartition(":")[2]
    return {
        **os.environ,
        **stack.env,
        "KAFKA_BROKERS": stack.brokers,
        "TRADEFLOW_WEB_PORT": port,
        "TRADEFLOW_DATA_DIR": str(stack.data_dir / f"worker-{port}"),
    }


def run(stack: Stack, *arguments: str, status: int = 0, **env: str) -> str:
    """What a verb of our own prints, held to its exit code."""
    done = CliRunner().invoke(root, arguments, env={**environment(stack), **env})
    assert done.exit_code == status, done.output
    return done.stdout


def run_faust(stack: Stack, *arguments: str, by: Sequence[str] = COMMAND, status: int = 0, **env: str) -> str:
    """The same of one of Faust's, which need a process of their own."""
    done = subprocess.run(
        [*by, *arguments], env={**environment(stack), **env}, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def as_json(stack: Stack, *arguments: str, **env: str) -> Any:
    return json.loads(run(stack, *arguments, "--json", **env))


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# --- watch ---


@pytest.mark.parametrize("where", [[], ["--kafka"]], ids=["worker", "kafka"])
def test_watch_once_shows_every_book(stack: Stack, where: list[str]) -> None:
    served = {(book["exchange"], book["symbol"]) for book in stack.get("/books")["books"]}
    rows = lines(run(stack, "watch", "--once", "--json", *where))
    assert {(row["exchange"], row["symbol"]) for row in rows} == served
    assert {row["state"] for row in rows} == {"live"}
    assert all(0 <= row["age_ms"] < 7_000 for row in rows)
    table = run(stack, "watch", "BTC-USDT", "--once", *where)
    assert len(re.findall(r"^\w+ +BTC-USDT +live ", table, re.MULTILINE)) == table.count("\n") - 1 > 0


def test_watch_tells_each_change_and_when_the_worker_falls_silent(stack: Stack) -> None:
    (worker,) = (child for child in stack.children if child.name.startswith("worker"))
    with subprocess.Popen(
        [*COMMAND, "watch", "binance/BTC-USDT", "--json"],
        env=environment(stack),
        stdout=subprocess.PIPE,
        text=True,
    ) as watch:
        assert watch.stdout
        seen = [json.loads(watch.stdout.readline()) for _ in range(5)]
        touches = [(row["bid"], row["ask"]) for row in seen]
        assert all(one != next_ for one, next_ in itertools.pairwise(touches))
        os.kill(worker.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            while (row := json.loads(watch.stdout.readline()))["state"] == "live":
                pass
            took = time.monotonic() - began
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        assert row["state"] == "stale" and row["reason"].startswith("no word of the worker for")
        assert took < 10, "3 s, and what the machine takes"
        while json.loads(watch.stdout.readline())["state"] != "live":
            pass
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
    wait_live(stack)


def test_watch_draws_on_a_terminal_until_ctrl_c(stack: Stack) -> None:
    master, slave = pty.openpty()
    env = {**environment(stack), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen([*COMMAND, "watch", "kraken"], env=env, stdin=slave, stdout=slave) as watch:
        shown = read_until(master, rb"(\d+) of \1 books live")
        assert b"kraken" in shown and b"binance" not in shown
        watch.send_signal(signal.SIGINT)
        threads = read_until(master, None)
        assert watch.wait(10) == 0, threads
    os.close(slave)
    os.close(master)


def read_until(descriptor: int, pattern: bytes | None, timeout: float = 15.0) -> bytes:
    """What a terminal has shown when it matches; without a pattern: what it shows within a second."""
    shown, deadline = b"", time.monotonic() + (timeout if pattern else 1.0)
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                shown += os.read(descriptor, 65536)
        if pattern and re.search(pattern, shown):
            return shown
    assert pattern is None, shown
    return shown


# --- books, feeds, topics, tail ---


def test_books_are_listed_and_their_levels_shown(stack: Stack) -> None:
    (book,) = as_json(stack, "books", "binance/BTC-USDT", "--depth", "3")
    assert book["state"] == "live" and len(book["bids"]) == len(book["asks"]) == 3
    shown = run(stack, "books", "binance/BTC-USDT", "--depth", "2")
    assert shown.splitlines()[0].startswith("binance BTC-USDT: live")
    assert len(as_json(stack, "books", "kraken")) == run(stack, "books", "kraken").count("\n") - 1
    run(stack, "books", "nowhere", status=1)


def test_feeds_have_rates_and_lags(stack: Stack) -> None:
    feeds = as_json(stack, "feeds")["feeds"]
    assert {feed["exchange"] for feed in feeds} == {"binance", "bitmex", "coinbase", "kraken"}
    assert all(feed["messages_per_second"] > 0 and feed["quiet_ms"] < 5000 for feed in feeds)
    assert all(feed["lag_ms"] is not None for feed in feeds)
    assert len(re.findall(r"^\d+ +\w+ .* live ", run(stack, "feeds"), re.MULTILINE)) == len(feeds)


def test_topics_are_as_declared(stack: Stack) -> None:
    found = {topic["topic"]: topic for topic in as_json(stack, "topics")}
    events = found["market-events"]
    assert events["partitions"] == events["declared_partitions"] and events["differences"] == []
    assert events["records"] > 100 and events["bytes"] > 10_000
    assert found["tradeflow-order_books-changelog"]["retention_ms"] is None
    assert re.search(r"^market-events +\d+ +7 d +[\d,]+ +[\d.,]+ *$", run(stack, "topics"), re.MULTILINE)


def test_tail_shows_the_last_those_of_a_key_and_those_to_come(stack: Stack) -> None:
    last = lines(run(stack, "tail", "top-of-book", "--json"))
    assert len(last) == 10 and all(record["value"]["bid"] for record in last)
    of_key = lines(run(stack, "tail", "top-of-book", "--key", "ETH-USDT", "--limit", "4", "--json"))
    assert [record["key"] for record in of_key] == ["ETH-USDT"] * 4
    began = time.time()
    coming = lines(run(stack, "tail", "top-of-book", "--follow", "--limit", "3", "--json"))
    assert len(coming) == 3 and all(record["value"]["event_time"] > (began - 5) * 1e9 for record in coming)
    first = run(stack, "tail", "market-events", "--from", "beginning", "--partition", "0", "--limit", "1")
    assert re.match(r"\S+T\S+  0@0  ", first)
    run(stack, "tail", "nothing", status=1)


def test_the_doctor_finds_nothing_wrong_with_a_system_that_runs(stack: Stack) -> None:
    findings = {one["what"]: one for one in as_json(stack, "doctor")}
    assert {one["verdict"] for one in findings.values()} == {"ok"}, findings
    assert "where worker" in findings["port of the web views"]["value"]
    assert findings["agreement of workers"]["value"] == "as the last workers had it"


# --- Faust's own ---


def test_agents_and_tables_are_listed_for_programs(stack: Stack) -> None:
    agents = {row["name"]: row for row in json.loads(run_faust(stack, "--json", "agents"))}
    assert agents["@market"]["topic"] == "market-events" and "event by event" in agents["@market"]["help"]
    tables = {row["name"]: row["help"] for row in json.loads(run_faust(stack, "--json", "tables"))}
    assert tables.keys() == {"order_books", "strategy_states"} and all(tables.values())


@pytest.mark.parametrize("verb", ["agents", "tables"])
def test_agents_and_tables_read_well_by_fausts_own_command(stack: Stack, verb: str) -> None:
    shown = run_faust(stack, verb, by=[sys.executable, "-m", "faust", "-A", "tradeflow"])
    assert ("@market" if verb == "agents" else "order_books") in shown
    assert "<N/A>" not in shown and "Missing description" not in shown


def test_a_record_is_sent_and_seen(stack: Stack) -> None:
    specs = [topics.TopicSpec("notes", 2, topics.DAY)]
    asyncio.run(topics.declare_topics({"bootstrap_servers": stack.brokers}, specs))
    sent = json.loads(run_faust(stack, "send", "notes", '{"hello": 1}', "--key", "me", "--partition", "1"))
    assert (sent["topic"], sent["partition"], sent["offset"]) == ("notes", 1, 0)
    (seen,) = lines(run(stack, "tail", "notes", "--json"))
    assert (seen["partition"], seen["key"], seen["value"]) == (1, "me", {"hello": 1})


def test_reset_deletes_the_local_state_of_the_tables(stack: Stack, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(environment(stack)["TRADEFLOW_DATA_DIR"], copy)
    databases = sorted(copy.rglob("order_books*"))
    assert databases
    said = run_faust(stack, "reset", TRADEFLOW_DATA_DIR=str(copy))
    assert "Removing database for table order_books" in said
    assert [path for path in databases if path.exists()] == []


def test_fausts_verbs_say_in_words_that_kafka_is_away(stack: Stack) -> None:
    run_faust(stack, "send", "notes", "{}", status=3, KAFKA_BROKERS=f"127.0.0.1:{free_port()}")
