"""Where the demo listens, so that verbs in other terminals find it: as the settings say, if that is free."""

from __future__ import annotations

from urllib.parse import urlsplit

from tradeflow.ports import is_free
from tradeflow.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1")


def kafka_port(settings: Settings) -> int:
    """That of KAFKA_BROKERS, if it is this machine's and free; else 0, for any."""
    host, port = _place(settings.kafka_brokers)
    return port if host in LOOPBACK and port and is_free(port) else 0


def exports(settings: Settings, brokers: str, web_url: str) -> str:
    """What other terminals have to be told, as `NAME=value …`; empty where their settings lead here."""
    told = []
    host, port = _place(settings.kafka_brokers)
    if brokers != settings.kafka_brokers and (host not in LOOPBACK or brokers != f"127.0.0.1:{port}"):
        told.append(f"KAFKA_BROKERS={brokers}")
    if (web_port := urlsplit(web_url).port) != settings.web_port:
        told.append(f"TRADEFLOW_WEB_PORT={web_port}")
    return " ".join(told)


def _place(brokers: str) -> tuple[str, int]:
    """Host and port; 0 where it is several or none."""
    host, _, port = brokers.rpartition(":")
    return host, int(port) if port.isdecimal() else 0
