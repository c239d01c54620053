"""How every Kafka client of this process proves who it is: Faust's, and those that are ours."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from tradeflow.cluster.settings import KafkaSettings
from tradeflow.settings import CORRECT_IT, SettingsError

Credentials = SASLCredentials | SSLCredentials


class NotLetIn(RuntimeError):
    """Kafka is there and will never take this client's TLS or password; the message says what to correct."""


def credentials(settings: KafkaSettings) -> Credentials | None:
    """For Faust's `broker_credentials`; None for a Kafka that asks for nothing.

    Raises SettingsError for certificates or keys that can't be used."""
    protocol = settings.kafka_security_protocol
    context = _context(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL_"):
        assert settings.kafka_sasl_password is not None
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism or "PLAIN",
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for any client of aiokafka: the brokers, and the credentials that Faust gives to its own.

    Raises SettingsError as `credentials` does."""
    return {
        "bootstrap_servers": settings.kafka_brokers,
        **credentials_to_aiokafka_auth(credentials(settings)),
    }


async def why_not(options: Mapping[str, Any]) -> Exception | None:
    """Why there is no connection to the first broker that doesn't give one: NotLetIn where trying again is of no
    use, else the client's own error.  `options` as of `client_options`."""
    auth = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    for host, port, _ in collect_hosts(options["bootstrap_servers"], randomize=False):
        try:
            connection = await create_conn(host, port, request_timeout_ms=10_000, **auth)
        except (KafkaError, OSError) as error:
            said = _refusal(error, auth)
            return NotLetIn(f"Kafka at {host}:{port} {said}. {CORRECT_IT}") if said else error
        connection.close()
    return None


def _refusal(error: Exception, auth: Mapping[str, Any]) -> str | None:
    """What a broker refuses for good."""
    match error:
        case SaslAuthenticationFailed() | IllegalSaslStateError():
            return (
                f"doesn't accept TRADEFLOW_KAFKA_SASL_USERNAME={auth['sasl_plain_username']} with its password"
                f" by {auth['sasl_mechanism']} ({error})"
            )
        case UnsupportedSaslMechanismError():
            return f"doesn't know TRADEFLOW_KAFKA_SASL_MECHANISM={auth['sasl_mechanism']}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return None  # it may be starting or ending
        case ssl.SSLError():
            return (
                f"and this worker can't agree on TLS: {_reason(error)}. Its certificate must be signed by one of"
                " TRADEFLOW_KAFKA_TLS_CA_FILE and bear the name in KAFKA_BROKERS"
            )
    return None


def _context(settings: KafkaSettings) -> ssl.SSLContext:
    password = settings.kafka_tls_key_password
    ca, cert, key = settings.kafka_tls_ca_file, settings.kafka_tls_cert_file, settings.kafka_tls_key_file
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SettingsError(f"TRADEFLOW_KAFKA_TLS_CA_FILE={ca}: {_reason(error)}. {CORRECT_IT}") from None
    if cert:
        try:
            # Without a password of ours OpenSSL would ask for it on the terminal.
            context.load_cert_chain(cert, key, password.get_secret_value() if password else "")
        except OSError as error:
            name = "TRADEFLOW_KAFKA_TLS_CERT_FILE"
            more = f" with TRADEFLOW_KAFKA_TLS_KEY_FILE={key}" if key else ""
            raise SettingsError(f"{name}={cert}{more}: {_reason(error)}. {CORRECT_IT}") from None
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        found = (error.reason or "").replace("_", " ").lower()
        return (
            found
            or "no PEM file with what is needed, or TRADEFLOW_KAFKA_TLS_KEY_PASSWORD is missing or wrong"
        )
    return error.strerror or str(error)
