"""The settings of the connection to Kafka, checked together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

SASL = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
TLS = ("kafka_tls_ca_file", "kafka_tls_cert_file", "kafka_tls_key_file", "kafka_tls_key_password")
SECURITY_VARIABLES = [f"TRADEFLOW_{name.upper()}" for name in ("kafka_security_protocol", *SASL, *TLS)]
"""Empty, all of them mean a Kafka that asks for nothing."""


class KafkaSettings(BaseSettings):
    """Where Kafka is and how it is spoken to."""

    kafka_brokers: str = Field(
        "localhost:9092",
        validation_alias=AliasChoices("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"),
        description="Kafka bootstrap servers, host:port, comma separated.",
    )
    kafka_wait: float = Field(
        30.0, gt=0, description="Seconds that a starting worker waits for Kafka before it gives up."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="How to speak to Kafka: `…SSL` = over TLS, `SASL_…` = with a user name and password.",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How the password is proved; default: `PLAIN`, which sends it."
    )
    kafka_sasl_username: str | None = Field(None, description="User name at Kafka.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Its password. Masked everywhere.")
    kafka_tls_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that Kafka's must be signed by; default: the system's."
    )
    kafka_tls_cert_file: Path | None = Field(
        None, description="This client's certificate (PEM), where Kafka asks for one."
    )
    kafka_tls_key_file: Path | None = Field(
        None, description="Its private key (PEM), if it isn't in the same file."
    )
    kafka_tls_key_password: SecretStr | None = Field(
        None, description="What the private key is encrypted with. Masked everywhere."
    )
    replication_factor: int = Field(
        1, ge=1, description="Copies of each topic that tradeflow makes; 3 on a cluster."
    )

    @field_validator("kafka_security_protocol", *SASL, *TLS, mode="before")
    @classmethod
    def _empty_means_default(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value == "" else value

    @field_validator("kafka_brokers")
    @classmethod
    def _brokers(cls, value: str) -> str:
        for broker in value.split(","):
            if not re.fullmatch(r"\s*(kafka://)?[^\s:/@]+:\d{1,5}\s*", broker):
                raise ValueError(
                    "each must be host:port, without a password (that is TRADEFLOW_KAFKA_SASL_PASSWORD)"
                    if "@" in broker
                    else f"{broker.strip()!r} is not host:port"
                )
        return ",".join(broker.strip().removeprefix("kafka://") for broker in value.split(","))

    @model_validator(mode="after")
    def _security_is_whole(self) -> Self:
        protocol = self.kafka_security_protocol
        problems = []
        for names, needed in ((SASL, "SASL_"), (TLS, "SSL")):
            given = [_variable(name) for name in names if getattr(self, name) is not None]
            if given and needed not in protocol:
                other = f"SASL_{protocol}" if needed == "SASL_" else protocol.replace("PLAINTEXT", "SSL")
                problems.append(
                    f"TRADEFLOW_KAFKA_SECURITY_PROTOCOL={protocol} uses no {' or '.join(given)}: "
                    f"set it to {other}, or leave the others out"
                )
        if protocol.startswith("SASL_"):
            missing = [_variable(name) for name in SASL[1:] if getattr(self, name) is None]
            if missing:
                problems.append(f"TRADEFLOW_KAFKA_SECURITY_PROTOCOL={protocol} needs {' and '.join(missing)}")
        if self.kafka_tls_key_file and not self.kafka_tls_cert_file:
            problems.append("TRADEFLOW_KAFKA_TLS_KEY_FILE needs TRADEFLOW_KAFKA_TLS_CERT_FILE")
        if problems:
            raise ValueError(". ".join(problems))
        return self


def _variable(field: str) -> str:
    return f"TRADEFLOW_{field.upper()}"
