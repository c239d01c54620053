"""Settings: where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeflow.settings import Settings


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
