"""`tradeflow doctor`: silent where all is well, and every fault that is planted is found and named."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner

from tests.faults.lab.clocks import SOURCE
from tradeflow import topics
from tradeflow.commands.doctor import doctor_command
from tradeflow.kafka import Kafka
from tradeflow.partitions import load_maps
from tradeflow.ports import free_port
from tradeflow.settings import load_settings
from tradeflow.worker import agreement

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

MAPS = Path(__file__).parents[2] / "partition_maps"
Env = dict[str, str]


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Of its own: with exactly the topics that are declared, and Kafka's usual limits."""
    config, usual = load_settings(), {"group.min.session.timeout.ms": "6000"}
    with Kafka(properties=usual, cache_dir=config.cache_dir, maven_url=config.maven_url) as broker:
        client = {"bootstrap_servers": broker.bootstrap}
        asyncio.run(topics.declare_topics(client, topics.topic_specs(load_maps(MAPS))))
        yield broker.bootstrap


@pytest.fixture
def well(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    """Everything as it should be, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return {
        "KAFKA_BROKERS": kafka,
        "TRADEFLOW_WEB_PORT": str(free_port()),
        "TRADEFLOW_DATA_DIR": str(tmp_path / "data"),
        "TRADEFLOW_PARTITION_MAPS": str(MAPS),
    }


def examined(env: Env) -> list[dict[str, Any]]:
    done = CliRunner().invoke(doctor_command, ["--json"], env=env)
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.exit_code == any(one["verdict"] == "fault" for one in findings), done.output
    return findings


def test_where_all_is_well_nothing_is_found(well: Env, kafka: str) -> None:
    findings = examined(well)
    assert [one for one in findings if one["verdict"] != "ok"] == []
    assert {
        "Python",
        "Java",
        "Kafka",
        "topics",
        "data directory",
        "settings",
        "clock, beside the broker's",
    } <= {one["what"] for one in findings}
    done = CliRunner().invoke(doctor_command, [], env=well)
    assert (
        done.exit_code == 0
        and done.output == f"{len(findings)} looks: {len(findings)} ok, 0 notes, 0 faults\n"
    )
    assert asyncio.run(_names(kafka)) == {spec.name for spec in topics.topic_specs(load_maps(MAPS))}


async def _names(kafka: str) -> set[str]:
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        return {name for name in await consumer.topics() if not name.startswith("__")}


Plant = Callable[[Env, Path], None]


def taken_port(env: Env, here: Path) -> None:
    env["TRADEFLOW_WEB_PORT"] = str(HOLDER.getsockname()[1])


HOLDER = socket.create_server(("127.0.0.1", 0))


def unreachable(env: Env, here: Path) -> None:
    env["KAFKA_BROKERS"] = f"127.0.0.1:{free_port()}"


def file_for_directory(env: Env, here: Path) -> None:
    (here / "data").write_text("a file")


def unwritable(env: Env, here: Path) -> None:
    env["TRADEFLOW_DATA_DIR"] = "/proc/tradeflow"  # where root can't write either


def broken_map(env: Env, here: Path) -> None:
    maps = maps_in(env, here)
    (maps / "kraken.json").write_text('{"BTC-USD": 0, "ETH-USD": 2}')


def no_feed(env: Env, here: Path) -> None:
    (maps_in(env, here) / "nowhere.json").write_text('{"BTC-USDT": 0}')
    env["EXCHANGES"] = "nowhere"


def other_count(env: Env, here: Path) -> None:
    maps = maps_in(env, here)
    places = json.loads((maps / "symbols.json").read_text())
    places["DOGE-USDT"] = max(places.values()) + 1
    (maps / "symbols.json").write_text(json.dumps(places))


def maps_in(env: Env, here: Path) -> Path:
    env["TRADEFLOW_PARTITION_MAPS"] = str(shutil.copytree(MAPS, here / "maps"))
    return here / "maps"


def text(name: str, content: str) -> Plant:
    return lambda env, here: void((here / name).write_text(content))


def variables(**given: str) -> Plant:
    return lambda env, here: env.update(given)


def void(_: object) -> None:
    return None


def other_cluster(env: Env, here: Path) -> None:
    (here / "data").mkdir()
    (here / "data" / "cluster-id").write_text("5L6g3nShT-eMCtK--X86sw")


FAULTS: dict[str, tuple[Plant, str, str]] = {
    "a taken port": (taken_port, "port of the web views", f"is taken by .*pid {os.getpid()}"),
    "no Kafka": (unreachable, "Kafka", "Connect call failed"),
    "a file for a directory": (file_for_directory, "data directory", "is a file"),
    "a directory that can't be written": (unwritable, "data directory", "can't be written"),
    "a map with a hole": (broken_map, "partition maps", "kraken.json: no symbol is on partition 1"),
    "an exchange without a feed": (no_feed, "partition maps", "no feed for exchange"),
    "another partition count": (other_count, "topic market-events", "partitions 4"),
    "no TOML": (text("strategies.toml", "[imbalance\n"), "strategies", "strategies.toml can't be read"),
    "an unknown limit": (text("risk.toml", "max_everything = 1\n"), "limits, fees, balances", "risk.toml"),
    "unclear fees": (
        text("fees.toml", '[binance]\nmaker = "little"\n'),
        "limits, fees, balances",
        "fees.toml",
    ),
    "a negative balance": (
        text("balances.toml", "[kraken]\nUSD = -1\n"),
        "limits, fees, balances",
        "USD = -1",
    ),
    "a typing error": (variables(TRADEFLOW_WEBPORT="6067"), "settings", "TRADEFLOW_WEBPORT .* is no setting"),
    "an impossible value": (variables(ORDER_BOOK_DEPTH="21"), "settings", "ORDER_BOOK_DEPTH='21'"),
    "half a pair of keys": (
        variables(BINANCE_API_KEY="key"),
        "settings that contradict each other",
        "BINANCE_API_KEY without BINANCE_SECRET_KEY",
    ),
    "checkpoints after the session": (
        variables(TRADEFLOW_COMMIT_INTERVAL="20"),
        "settings that contradict each other",
        "TRADEFLOW_COMMIT_INTERVAL=20",
    ),
    "a session that the broker refuses": (
        variables(TRADEFLOW_SESSION_TIMEOUT="1.5"),
        "session timeout",
        "1.5 s",
    ),
    "more copies than brokers": (variables(TRADEFLOW_REPLICATION_FACTOR="3"), "copies of topics", "3"),
    "a name that leads nowhere": (
        variables(TRADEFLOW_WEB_HOST="0.0.0.0", TRADEFLOW_WEB_ADVERTISED_HOST="no.such.host.invalid"),
        "name for other workers",
        "no.such.host.invalid",
    ),
    "another cluster's state": (other_cluster, "data directory", "holds state of Kafka cluster 5L6g3nShT"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(well: Env, tmp_path: Path, name: str) -> None:
    plant, what, value = FAULTS[name]
    plant(well, tmp_path)
    check(examined(well), what, value)


def check(findings: list[dict[str, Any]], what: str, value: str) -> None:
    """Every fault is of this kind, one says this, and each has its limit and its fix."""
    import re

    faults = [one for one in findings if one["verdict"] == "fault"]
    assert [one for one in faults if what == one["what"] and re.search(value, one["value"])], faults
    assert all(one["limit"] and one["fix"] for one in faults)
    kind = what.split()[0]
    assert [one for one in faults if not one["what"].startswith(kind)] == []


def test_a_full_disk(well: Env, small_disk: Callable[[int], Path]) -> None:
    directory = small_disk(8)
    (directory / "ballast").write_bytes(bytes(7 * 2**20))
    well["TRADEFLOW_DATA_DIR"] = str(directory / "data")
    check(examined(well), "data directory", r"^[01] MiB free")


def test_a_disk_that_is_mounted_read_only(well: Env, small_disk: Callable[[int], Path]) -> None:
    directory = small_disk(512)
    well["TRADEFLOW_DATA_DIR"] = str(directory)
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    try:
        check(examined(well), "data directory", "can't be written .Read-only file system")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)


def test_a_topic_that_bears_its_writers_times(well: Env, kafka: str) -> None:
    spec = next(spec for spec in topics.topic_specs(load_maps(MAPS)) if spec.name == topics.TRADES)
    asyncio.run(alter(kafka, spec, {**spec.config(), "message.timestamp.type": "CreateTime"}))
    try:
        check(examined(well), "topic trades", "timestamps CreateTime")
    finally:
        asyncio.run(alter(kafka, spec, spec.config()))


async def alter(kafka: str, spec: topics.TopicSpec, config: dict[str, str]) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name, config)])
    finally:
        await admin.close()


def test_a_worker_that_would_differ_from_those_that_run(well: Env, kafka: str) -> None:
    group = f"group{uuid.uuid4().hex[:8]}"
    well["TRADEFLOW_APP_ID"] = group

    async def beside_a_member() -> list[dict[str, Any]]:
        maps = load_maps(MAPS)
        terms = {
            agreement.MAPS: agreement.map_terms(maps),
            agreement.RECORDS: agreement.record_terms(),
            group: agreement.group_terms(maps.books(), ()),
        }
        await agreement.Agreement("another", {"bootstrap_servers": kafka}, patience=1.0).reach(terms)
        async with AIOKafkaConsumer("trades", bootstrap_servers=kafka, group_id=group) as member:
            await member.getmany(timeout_ms=200)
            return await asyncio.to_thread(examined, well)

    check(
        asyncio.run(beside_a_member()), "agreement of workers", r": 200000 here, none there; .* and \d+ more$"
    )
    findings = examined(well)
    assert [one["verdict"] for one in findings if one["what"] == "agreement of workers"] == ["note"]


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="a library is preloaded")
@pytest.mark.parametrize(("seconds", "says"), [(3600, "ahead"), (-3600, "behind")])
def test_a_clock_that_is_an_hour_off(well: Env, tmp_path: Path, seconds: int, says: str) -> None:
    library, clock = tmp_path / "clock.so", tmp_path / "clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    clock.write_bytes(struct.pack("=q", seconds))
    done = subprocess.run(
        [sys.executable, "-m", "tradeflow.cli", "doctor", "--json"],
        env={**os.environ, **well, "LD_PRELOAD": str(library), "LAB_CLOCK": str(clock)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    check(json.loads(done.stdout), "clock, beside the broker's", rf"^3[56]\d\d\.\d+ s {says}")
