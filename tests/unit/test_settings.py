"""Settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeflow.cluster.security import client_options
from tradeflow.cluster.settings import SECURITY_VARIABLES
from tradeflow.feeds.registry import check_exchanges
from tradeflow.settings import Settings, SettingsError, load_settings, sources, unknown_variables
from tradeflow.web.access import is_loopback


def test_every_exchange_has_endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "TRADEFLOW_OKX_REST_URL=http://127.0.0.1:1/\nTRADEFLOW_KRAKEN_V1_WS_URL=ws://127.0.0.1:2\n"
        "TRADEFLOW_BINANCE_WS_URL=ws://127.0.0.1:3\n"
    )
    monkeypatch.setenv("TRADEFLOW_KRAKEN_V1_WS_URL", "ws://127.0.0.1:4")
    settings = Settings()
    assert settings.endpoint("okx", "rest") == "http://127.0.0.1:1"
    assert settings.endpoint("okx", "ws") is None
    assert settings.endpoint("kraken-v1", "ws") == "ws://127.0.0.1:4"  # before that of the file
    assert settings.endpoint("binance", "ws") == "ws://127.0.0.1:3"
    assert settings.endpoint("kraken", "ws") is None


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A directory without a .env."""
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TRADEFLOW_BINANCE_WS_URL", "http://127.0.0.1:1", "must begin with ws:// or wss://"),
        ("TRADEFLOW_KRAKEN_REST_URL", "127.0.0.1:1", "must begin with http:// or https://"),
        ("TRADEFLOW_HEARTBEAT_INTERVAL", "5", "must be below TRADEFLOW_SILENCE_TIMEOUT=5.0"),
        ("TRADEFLOW_WEB_PORT", "http", "Input should be a valid integer"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    empty: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    empty.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}={value!r}: {reason}")
    assert line.endswith("Correct it in the environment or in .env and start again.")


def test_a_secret_is_not_shown(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TRADEFLOW_WEB_PORT", "0")
    empty.setenv("BINANCE_SECRET_KEY", "hidden")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hidden" not in str(caught.value) + repr(Settings(web_port=1))


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "rediss://me:pa%2F55@cache:6380/3?ssl_ca_certs=/etc/ca.pem",
        "redis://:pa55@[::1]:6379",
    ],
)
def test_a_url_of_redis_is_taken_and_not_shown(empty: pytest.MonkeyPatch, url: str) -> None:
    empty.setenv("REDIS_URL", url)
    settings = load_settings()
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == url
    assert "pa" not in repr(settings.redis_url)
    empty.setenv("REDIS_URL", "")
    assert load_settings().redis_url is None


@pytest.mark.parametrize(
    "changes",
    [
        {"KAFKA_BROKERS": "me:pa55word@127.0.0.1:9092"},
        {"KAFKA_BROKERS": "kafka://me:pa55word@127.0.0.1:9092"},
        {"KAFKA_BROKERS": "127.0.0.1:9092,me@127.0.0.1:9092,pa55word@127.0.0.1:9092"},
        {"TRADEFLOW_KAFKA_SASL_PASSWORD": "pa55word"},
        {"TRADEFLOW_TOKEN": "pa55word"},
        {"TRADEFLOW_TOKEN": "pa55word pa55word pa55word"},
        {"REDIS_URL": "http://me:pa55word@127.0.0.1:1"},
        {"REDIS_URL": "redis://me:pa55word@/0"},
        {"REDIS_URL": "redis://:pa/55word@127.0.0.1:1/pa55word"},
        {"REDIS_URL": "redis://me:pa55word#pa55word@127.0.0.1:1"},
        {"REDIS_URL": "redis://me:[pa55word@127.0.0.1:1"},
        {"REDIS_URL": "redis://127.0.0.1:1/0?password=pa55word"},
        {"TRADEFLOW_KRAKEN_WS_URL": "wss://me:pa55word@127.0.0.1:1"},
        {"TRADEFLOW_KRAKEN_REST_URL": "ftp://me:pa55word@127.0.0.1:1"},
        {"BINANCE_SECRET_KEY": "pa55word", "TRADEFLOW_KAFKA_TLS_KEY_FILE": "key.pem"},
    ],
    ids=str,
)
def test_no_error_shows_a_secret(empty: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    for name, value in changes.items():
        empty.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "pa55word" not in str(caught.value)
    assert "Correct it in the environment" in str(caught.value)


def test_endpoints_of_others_hold_no_password_either(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TRADEFLOW_OKX_WS_URL", "wss://me:pa55word@127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"^TRADEFLOW_OKX_WS_URL='wss://\*\*\*@127") as caught:
        load_settings().endpoint("okx", "ws")
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "=SASL_SSL needs TRADEFLOW_KAFKA_SASL_USERNAME and TRADEFLOW"),
        ({"SECURITY_PROTOCOL": "SSL", "SASL_USERNAME": "me"}, "=SSL uses no .*_SASL_USERNAME: set it to SASL_SSL"),
        ({"TLS_CA_FILE": "ca.pem"}, "=PLAINTEXT uses no TRADEFLOW_KAFKA_TLS_CA_FILE: set it to SSL"),
        ({"SECURITY_PROTOCOL": "SSL", "TLS_KEY_FILE": "key.pem"}, "_KEY_FILE needs TRADEFLOW_KAFKA_TLS_CERT_FILE"),
        ({"SECURITY_PROTOCOL": "TLS"}, "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ({"SASL_MECHANISM": "GSSAPI"}, "Input should be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'"),
    ],
)  # fmt: skip
def test_kafkas_security_is_checked_as_a_whole(
    empty: pytest.MonkeyPatch, changes: dict[str, str], words: str
) -> None:
    for name, value in changes.items():
        empty.setenv(f"TRADEFLOW_KAFKA_{name}", value)
    with pytest.raises(SettingsError, match=words):
        load_settings()


def test_the_endpoint_of_any_exchange_is_checked_at_start(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TRADEFLOW_OKX_WS_URL", "https://127.0.0.1")
    with pytest.raises(SettingsError, match=r"^TRADEFLOW_OKX_WS_URL='https://.+': must begin with ws://"):
        check_exchanges(["okx"])


def test_empty_is_as_good_as_unset(empty: pytest.MonkeyPatch) -> None:
    names = ("TRADEFLOW_CACHE_DIR", "TRADEFLOW_MAVEN_URL", "TRADEFLOW_PARTITION_MAPS", "TRADEFLOW_OKX_WS_URL")
    for name in (*names, *SECURITY_VARIABLES, "TRADEFLOW_TOKEN"):
        empty.setenv(name, "")
    settings = load_settings()
    assert (settings.cache_dir, settings.maven_url, settings.partition_maps) == (None, None, None)
    assert settings.endpoint("okx", "ws") is None
    assert settings.token is None  # nobody has the empty one
    assert client_options(settings) == {
        "bootstrap_servers": "localhost:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_nobody_but_this_machine_is_served_unless_told_otherwise(empty: pytest.MonkeyPatch) -> None:
    assert is_loopback(load_settings().web_host)


def test_what_is_named_twice_counts_once(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("EXCHANGES", "binance, kraken,Binance")
    empty.setenv("SYMBOLS", "BTC-USDT,btc/usdt,BTCUSDT")
    settings = load_settings()
    assert (settings.exchanges, settings.symbols) == (["binance", "kraken"], ["BTC-USDT"])


def test_where_a_setting_is_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ORDER_BOOK_DEPTH=7\nKAFKA_BROKERS=a:1\nTRADEFLOW_WEBPORT=1\n")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "b:2")
    monkeypatch.delenv("KAFKA_BROKERS", raising=False)
    monkeypatch.setenv("tradeflow_web_port", "7000")
    found = sources()
    assert found["order_book_depth"] == ".env"
    assert found["web_port"] == "environment" and load_settings().web_port == 7000
    assert found["symbols"] == "default"


def test_names_that_nothing_reads_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TRADEFLOW_WEBPORT=1\n")
    monkeypatch.setenv("TRADEFLOW_TOKN", "x")
    for known in (
        "TRADEFLOW_TOKEN",
        "TRADEFLOW_FAUST_X",
        "TRADEFLOW_KRAKEN_V1_WS_URL",
        "TRADEFLOW_SIMULATOR_URL",
    ):
        monkeypatch.setenv(known, "x")
    found = unknown_variables()
    assert found.items() >= {"TRADEFLOW_TOKN": "environment", "TRADEFLOW_WEBPORT": ".env"}.items()
    assert not {"TRADEFLOW_TOKEN", "TRADEFLOW_FAUST_X", "TRADEFLOW_SIMULATOR_URL"} & found.keys()
    assert "TRADEFLOW_KRAKEN_V1_WS_URL" not in found
