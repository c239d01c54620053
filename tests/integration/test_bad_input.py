"""Bad input: each with a clear outcome, and nothing else is lost."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from tests.faults.cluster import Cluster, caught_up, until
from tests.faults.load import Load
from tests.faults.reference import Reference, check_books, strategies
from tradeflow import topics
from tradeflow.demo.stack import Stack, get
from tradeflow.messages import DeadLetter
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]


def worker(directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a worker that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "tradeflow.cli", "worker", "-l", "warn"],
        env={**os.environ, "TRADEFLOW_DATA_DIR": str(directory / "data"), "PYTHONPATH": str(ROOT), **env},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"LOG_LEVEL": "loud", "TRADEFLOW_WEB_PORT": "http"}, "TRADEFLOW_WEB_PORT='http'"),
        ({"SYMBOLS": "DOGE-USDT"}, "DOGE-USDT is in no partition map"),
        ({"STRATEGIES": "moonshot"}, "'moonshot' is neither one of"),
    ],
)
def test_a_bad_setting_is_refused_by_name(tmp_path: Path, env: dict[str, str], says: str) -> None:
    done = worker(tmp_path, **env)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({}, "symbols.json"),
        (
            {"symbols.json": '{"BTC-USDT": 0, "ETH-USDT": 2}', "binance.json": '{"BTC-USDT": 0}'},
            "partition 1",
        ),
    ],
)
def test_a_bad_partition_map_is_refused_with_file_and_fix(
    tmp_path: Path, maps: dict[str, str], says: str
) -> None:
    directory = tmp_path / "maps"
    directory.mkdir()
    for name, text in maps.items():
        (directory / name).write_text(text)
    done = worker(tmp_path, TRADEFLOW_PARTITION_MAPS=str(directory))
    assert done.returncode == 2
    assert says in done.stderr
    assert str(directory) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_is_none_is_refused_by_name(tmp_path: Path, kafka: str) -> None:
    (tmp_path / "data").write_text("a file")
    done = worker(tmp_path, KAFKA_BROKERS=kafka, TRADEFLOW_WEB_PORT=str(free_port()))
    assert done.returncode == 1
    assert f"TRADEFLOW_DATA_DIR={tmp_path / 'data'} can't be used: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_topic_with_another_partition_count_is_refused(tmp_path: Path, kafka: str) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    name = f"counted{os.getpid()}"
    (maps / "symbols.json").write_text('{"BTC-USDT": 0, "ETH-USDT": 1}')
    (maps / f"{name}.json").write_text('{"BTC-USDT": 0, "ETH-USDT": 1}')
    asyncio.run(
        topics.declare_topics(
            {"bootstrap_servers": kafka}, [topics.TopicSpec(f"{name}-orderbook", 3, 3_600_000)]
        )
    )
    env = {
        "KAFKA_BROKERS": kafka,
        "TRADEFLOW_PARTITION_MAPS": str(maps),
        "TRADEFLOW_WEB_PORT": str(free_port()),
    }
    done = worker(tmp_path, EXCHANGES=name, STRATEGIES="", TRADEFLOW_ROLE="strategies", **env)
    assert done.returncode == 1
    # The shared broker may hold topics of other tests, so any of ours may be the first that differs.
    assert "partitions, the partition maps need" in done.stderr
    assert "Stop all workers" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_kafka_at_start_ends_with_what_to_do(tmp_path: Path) -> None:
    done = worker(
        tmp_path,
        KAFKA_BROKERS=f"127.0.0.1:{free_port()}",
        TRADEFLOW_WEB_PORT=str(free_port()),
        TRADEFLOW_KAFKA_WAIT="2",
    )
    assert done.returncode == 1
    assert "no Kafka at 127.0.0.1" in done.stderr
    assert "tradeflow kafka" in done.stderr
    assert done.stderr.count("\n") < 40


def test_a_taken_web_port_names_its_holder(tmp_path: Path, kafka: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = worker(tmp_path, KAFKA_BROKERS=kafka, TRADEFLOW_WEB_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} is taken by" in done.stderr
    assert f"pid {os.getpid()}" in done.stderr
    assert "TRADEFLOW_WEB_PORT" in done.stderr


async def send_raw(brokers: str, topic: str, values: list[bytes | None]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"BTC-USDT", partition=0)


def test_bad_records_become_dead_letters_and_nothing_else_is_lost(tmp_path: Path) -> None:
    known = {
        "exchange": "binance",
        "epoch": 0,
        "sequence": 0,
        "receipt_time": 1,
        "type": "book",
        "snapshot": True,
    }
    bad: list[bytes | None] = [
        b"{not json",
        b"",
        None,
        b"\xff\xfe\x00",
        b"[" * 5_000,
        b'{"type":"book"}',
        b'{"type":"unheard-of"}',
        json.dumps({**known, "symbol": "DOGE-USDT", "bids": [], "asks": []}).encode(),
        json.dumps({**known, "symbol": "BTC-USDT", "bids": [["NaN", "1"]], "asks": []}).encode(),
        json.dumps({**known, "symbol": "BTC-USDT", "bids": [["1", "-1"]], "asks": []}).encode(),
        json.dumps({**known, "symbol": "BTC-USDT", "bids": [[1, 1]], "asks": []}).encode(),
    ]
    with Cluster(tmp_path) as cluster:
        worker = cluster.worker().wait_ready()
        load = Load(cluster.maps)
        for _ in range(3):  # before, among and after good ones, so that runs hold both
            load.send(cluster.brokers, 500, 5_000)
            asyncio.run(send_raw(cluster.brokers, "binance-orderbook", bad))
        load.send(cluster.brokers, 500, 5_000)
        until(lambda: caught_up(cluster), 60, "the worker catches up")

        letters = [
            msgspec.json.decode(r.value, type=DeadLetter) for r in cluster.read(topics.DEAD_LETTERS)[0]
        ]
        assert sorted(base64.b64decode(letter.original) for letter in letters) == sorted(
            [v or b"" for v in bad] * 3
        )
        assert all(letter.topic == "binance-orderbook" and letter.reason for letter in letters)

        reference = Reference(cluster.maps, cluster.read(topics.MARKET_EVENTS), strategies(cluster.maps))
        counts = [market.counts for market in reference.markets.values()]
        applied = sum(sum(c[kind].values()) for c in counts for kind in ("snapshots", "deltas", "trades"))
        assert applied == load.sent
        assert check_books(worker, reference, cluster.maps.books(list(cluster.maps.exchanges))) == 15


def test_an_exchange_that_refuses_connections_is_marked_and_comes_back(tmp_path: Path) -> None:
    stack = Stack(load_settings(web_port=free_port()), simulate=True, data_dir=tmp_path)
    with stack:
        simulator = stack.env["TRADEFLOW_SIMULATOR_URL"]

        def states(exchange: str) -> set[str]:
            return {b["state"] for b in get(f"{stack.web_url}/books")["books"] if b["exchange"] == exchange}

        until(lambda: states("coinbase") == {"live"}, 40, "Coinbase's books are live")
        post(f"{simulator}/control/coinbase/refuse")
        post(f"{simulator}/control/coinbase/drop")
        until(lambda: states("coinbase") == {"stale"}, 5, "its books are marked")
        reasons = {b["reason"] for b in get(f"{stack.web_url}/books")["books"] if b["exchange"] == "coinbase"}
        assert all(reason.startswith("down: ") for reason in reasons)
        assert states("binance") == states("kraken") == states("bitmex") == {"live"}
        post(f"{simulator}/control/coinbase/accept")
        until(lambda: states("coinbase") == {"live"}, 15, "its books are live again")
        stack.check()


def post(url: str) -> None:
    request = urllib.request.Request(url, method="POST")
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from None


def test_another_clusters_local_state_is_put_aside(tmp_path: Path) -> None:
    """A broker wiped under a kept data directory: its offsets mean nothing to the new one."""
    for number in (1, 2):
        with Cluster(tmp_path) as cluster:
            worker = cluster.worker().wait_ready()
            load = Load(cluster.maps, seed=number)
            load.send(cluster.brokers, 1_000, 5_000)
            until(lambda c=cluster: caught_up(c), 60, "the worker catches up")
            reference = Reference(cluster.maps, cluster.read(topics.MARKET_EVENTS), strategies(cluster.maps))
            assert check_books(worker, reference, cluster.maps.books(list(cluster.maps.exchanges))) == 15
        shutil.rmtree(tmp_path / "kafka")
