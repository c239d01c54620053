"""A real Kafka that lets nobody in without a password or a certificate, and a certificate authority for it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tradeflow.kafka import Kafka
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

USER = "tradeflow-worker"
PASSWORD = "sasl-Passw0rd-seen-nowhere"
KEY_PASSWORD = "key-Passw0rd-seen-nowhere"

PLAIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class SecureKafka(NamedTuple):
    sasl: str
    """SASL_PLAINTEXT: PLAIN, SCRAM-SHA-512."""
    tls: str
    """SSL; the client must have a certificate."""
    both: str
    """SASL_SSL: SCRAM-SHA-512."""
    ca: Path
    other_ca: Path
    """Has signed nothing."""
    client: Path
    """Certificate and key."""
    client_key: Path
    """The same key, encrypted with KEY_PASSWORD."""


@contextmanager
def secure_kafka(directory: Path) -> Iterator[SecureKafka]:
    """Beside the listeners of SecureKafka there is an open one, whose address nobody gets to know."""
    certificates = make_certificates(directory)
    ports = {name: free_port() for name in ("PLAINTEXT", "SASL", "TLS", "BOTH", "CONTROLLER")}
    at = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
    properties = {
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
        "listeners": ",".join(at.values()),
        "advertised.listeners": ",".join(where for name, where in at.items() if name != "CONTROLLER"),
        "listener.security.protocol.map": (
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL"
        ),
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.sasl.plain.sasl.jaas.config": PLAIN,
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": SCRAM,
        "listener.name.both.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.both.scram-sha-512.sasl.jaas.config": SCRAM,
        "listener.name.tls.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
    }
    settings = load_settings()
    with Kafka(
        port=ports["PLAINTEXT"],
        properties=properties,
        cache_dir=settings.cache_dir,
        maven_url=settings.maven_url,
    ) as kafka:
        _add_user(kafka)
        yield certificates._replace(
            **{name: f"127.0.0.1:{ports[name.upper()]}" for name in ("sasl", "tls", "both")}
        )


def make_certificates(directory: Path) -> SecureKafka:
    """Files of a certificate authority, the broker and a client; skips where there is no openssl."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name in ("broker", "client"):
        openssl(
            *new, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{name}.key", "-out", f"{name}.crt",
        )  # fmt: skip
        (directory / f"{name}.pem").write_text(
            (directory / f"{name}.key").read_text() + (directory / f"{name}.crt").read_text()
        )
    openssl(
        "pkey", "-aes256", "-passout", f"pass:{KEY_PASSWORD}", "-in", "client.key", "-out", "encrypted.key"
    )
    return SecureKafka(
        "",
        "",
        "",
        directory / "ca.pem",
        directory / "other.pem",
        directory / "client.pem",
        directory / "encrypted.key",
    )


def _add_user(kafka: Kafka) -> None:
    """SCRAM's users are in Kafka's own log."""
    command = [
        *kafka._jvm, "-cp", kafka._class_path, "kafka.admin.ConfigCommand", "--bootstrap-server", kafka.bootstrap,
        "--alter", "--entity-type", "users", "--entity-name", USER, "--add-config",
        f"SCRAM-SHA-512=[password={PASSWORD}]",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
