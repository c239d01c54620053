"""Certificates and keys that can't be used are refused at start, by name; Faust and our own clients agree."""

from __future__ import annotations

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from tests.integration.secure_kafka import KEY_PASSWORD, SecureKafka, make_certificates
from tradeflow.cluster.security import client_options, credentials
from tradeflow.settings import Settings, SettingsError, load_settings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SecureKafka:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def tls(**changes: object) -> Settings:
    return load_settings(kafka_security_protocol="SSL", **changes)


def test_a_certificate_with_its_key_in_one_file_in_two_or_encrypted(files: SecureKafka) -> None:
    cert = files.client.with_name("client.crt")
    for key in (
        {"kafka_tls_cert_file": files.client},
        {"kafka_tls_cert_file": cert, "kafka_tls_key_file": files.client},
        {"kafka_tls_cert_file": cert, "kafka_tls_key_file": files.client_key, "kafka_tls_key_password": KEY_PASSWORD},
    ):  # fmt: skip
        context = client_options(tls(kafka_tls_ca_file=files.ca, **key))["ssl_context"]
        assert context.check_hostname
        assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ca": "none.pem"}, "TRADEFLOW_KAFKA_TLS_CA_FILE=.*none.pem: No such file or directory"),
        ({"ca": "client.key"}, "TRADEFLOW_KAFKA_TLS_CA_FILE=.*client.key: no certificate or crl found"),
        ({"cert": "none.pem"}, "TRADEFLOW_KAFKA_TLS_CERT_FILE=.*none.pem: No such file or directory"),
        ({"cert": "client.crt"}, "CERT_FILE=.*client.crt: no PEM file with what is needed"),
        ({"cert": "client.crt", "key": "broker.key"}, "with TRADEFLOW_KAFKA_TLS_KEY_FILE=.*: key values mismatch"),
        ({"cert": "client.crt", "key": "encrypted.key"}, "or TRADEFLOW_KAFKA_TLS_KEY_PASSWORD is missing or wrong"),
        ({"cert": "client.crt", "key": "encrypted.key", "password": "no"}, "KEY_PASSWORD is missing or wrong"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(files: SecureKafka, changes: dict[str, str], words: str) -> None:
    named = {"ca": "kafka_tls_ca_file", "cert": "kafka_tls_cert_file", "key": "kafka_tls_key_file"}
    settings = {named[key]: files.ca.with_name(name) for key, name in changes.items() if key in named}
    if "password" in changes:
        settings["kafka_tls_key_password"] = changes["password"]
    with pytest.raises(SettingsError, match=words):
        client_options(tls(**settings))


@pytest.mark.parametrize("mechanism", [None, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_fausts_clients_get_what_ours_get(mechanism: str | None) -> None:
    settings = load_settings(
        kafka_brokers="a:1,b:2",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username="me",
        kafka_sasl_password="secret",
        kafka_sasl_mechanism=mechanism,
    )
    ours = client_options(settings)
    assert ours == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism or "PLAIN",
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
        "ssl_context": None,
    }
    faust = credentials_to_aiokafka_auth(credentials(settings))
    assert faust == {name: value for name, value in ours.items() if name != "bootstrap_servers"}
    assert "secret" not in repr(credentials(settings))
