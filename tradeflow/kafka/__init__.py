"""A real Kafka without Docker: Apache Kafka in KRaft mode from its jars, for demos, tests and laptops."""

from tradeflow.kafka.broker import Kafka
from tradeflow.kafka.errors import (
    BrokerFailed,
    DataDirUnusable,
    DiskFull,
    DownloadFailed,
    HashMismatch,
    JavaMissing,
    KafkaError,
    PortTaken,
)

__all__ = [
    "BrokerFailed",
    "DataDirUnusable",
    "DiskFull",
    "DownloadFailed",
    "HashMismatch",
    "JavaMissing",
    "Kafka",
    "KafkaError",
    "PortTaken",
]
