"""Settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeflow.feeds.registry import check_exchanges
from tradeflow.settings import Settings, SettingsError, load_settings


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


def test_the_endpoint_of_any_exchange_is_checked_at_start(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TRADEFLOW_OKX_WS_URL", "https://127.0.0.1")
    with pytest.raises(SettingsError, match=r"^TRADEFLOW_OKX_WS_URL='https://.+': must begin with ws://"):
        check_exchanges(["okx"])


def test_empty_is_as_good_as_unset(empty: pytest.MonkeyPatch) -> None:
    names = ("TRADEFLOW_CACHE_DIR", "TRADEFLOW_MAVEN_URL", "TRADEFLOW_PARTITION_MAPS", "TRADEFLOW_OKX_WS_URL")
    for name in names:
        empty.setenv(name, "")
    settings = load_settings()
    assert (settings.cache_dir, settings.maven_url, settings.partition_maps) == (None, None, None)
    assert settings.endpoint("okx", "ws") is None


def test_what_is_named_twice_counts_once(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("EXCHANGES", "binance, kraken,Binance")
    empty.setenv("SYMBOLS", "BTC-USDT,btc/usdt,BTCUSDT")
    settings = load_settings()
    assert (settings.exchanges, settings.symbols) == (["binance", "kraken"], ["BTC-USDT"])
