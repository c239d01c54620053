"""Where the demo listens, and what other terminals have to be told of it."""

from __future__ import annotations

import socket

import pytest

from tradeflow.demo.addresses import exports, kafka_port
from tradeflow.ports import free_port
from tradeflow.settings import Settings

WEB = "http://127.0.0.1:6066"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_kafka_is_where_the_settings_say(host):
    port = free_port()
    settings = Settings(kafka_brokers=f"{host}:{port}")
    assert kafka_port(settings) == port
    assert exports(settings, f"127.0.0.1:{port}", WEB) == ""


@pytest.mark.parametrize("brokers", ["kafka.example:9092", "a:9092,b:9092"])
def test_another_machines_kafka_is_not_this_one(brokers):
    settings = Settings(kafka_brokers=brokers)
    assert kafka_port(settings) == 0
    assert exports(settings, "127.0.0.1:9092", WEB) == "KAFKA_BROKERS=127.0.0.1:9092"
    assert exports(settings, brokers, WEB) == ""  # `run`, on that very one


def test_taken_ports_are_left_alone_and_others_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Settings(kafka_brokers=f"localhost:{server.getsockname()[1]}")
        assert kafka_port(settings) == 0
    told = "KAFKA_BROKERS=127.0.0.1:20001 TRADEFLOW_WEB_PORT=20002"
    assert exports(settings, "127.0.0.1:20001", "http://127.0.0.1:20002") == told
