"""The broker's configuration: one small node, on loopback only, broker and controller in one JVM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NODE = 1
"""Its `node.id`."""
MAX_RECORD_BYTES = 17 * 2**20  # a record of 16 MiB and its batch's header

LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c{1})%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""

JVM = [
    "-Xms64m",
    "-Xmx384m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # quick to start; the node is never the bottleneck here
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disableJmx=true",
]


def jvm_options(java_major: int) -> list[str]:
    """Options of the JVM; from 24 on it warns of what Kafka's libraries do unless allowed."""
    quiet = ["--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"]
    return JVM + (quiet if java_major >= 24 else [])


def jmx_options(port: int) -> list[str]:
    """The JVM's own metrics and Kafka's, on loopback alone, where nobody is asked for a password."""
    prefix = "-Dcom.sun.management.jmxremote"
    return [
        f"{prefix}.port={port}",
        f"{prefix}.rmi.port={port}",
        f"{prefix}.host=127.0.0.1",
        "-Djava.rmi.server.hostname=127.0.0.1",
        f"{prefix}.authenticate=false",
        f"{prefix}.ssl=false",
    ]


def server_properties(port: int, controller_port: int, logs: Path, extra: Mapping[str, str]) -> str:
    """The text of server.properties; `extra` overrides."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": str(NODE),
        "controller.quorum.voters": f"{NODE}@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": logs.as_posix(),
        # Topics are declared, never made by a typo.
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "message.max.bytes": str(MAX_RECORD_BYTES),
        "replica.fetch.max.bytes": str(MAX_RECORD_BYTES),
        # A laptop's disk: topics that need more say so themselves.
        "log.retention.hours": "24",
        "log.retention.bytes": str(2**30),
        # One node holds every internal topic once.
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Groups form at once and notice a dead member as soon as it asks for.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # After a crash the controller waits this long for the broker's dead self, by default 9 s.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        # Few threads and small buffers; an index is preallocated, by default with 10 MB each.
        "num.network.threads": "1",
        "num.io.threads": "2",
        "num.replica.fetchers": "1",
        "background.threads": "2",
        "num.recovery.threads.per.data.dir": "1",
        "log.segment.bytes": str(32 * 2**20),
        "log.index.size.max.bytes": str(2**20),
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(4 * 2**20),
        "log.cleaner.io.buffer.size": str(2**19),
        **extra,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())
