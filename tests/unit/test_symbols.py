"""Canonical symbols."""

from __future__ import annotations

import pytest

from tradeflow.symbols import SymbolError, canonical_symbol


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("BTC-USDT", "BTC-USDT"),
        ("btc/usdt", "BTC-USDT"),
        ("BTC_USDT", "BTC-USDT"),
        ("BTCUSDT", "BTC-USDT"),
        (" sol-usd ", "SOL-USD"),
        ("BTCUSD", "BTC-USD"),
        ("XBT/USD", "BTC-USD"),
        ("BTC-USD-PERP", "BTC-USD-PERP"),
        ("1INCHUSDT", "1INCH-USDT"),
        ("ETHBTC", "ETH-BTC"),
    ],
)
def test_understood(text, canonical):
    assert canonical_symbol(text) == canonical
    assert canonical_symbol(canonical) == canonical


@pytest.mark.parametrize(
    "text", ["", "-", "USDT", "BTC-", "-USDT", "BTC--USDT", "BTC USDT", "ÄÖ-USDT", "BTC"]
)
def test_refused_with_advice(text):
    with pytest.raises(SymbolError, match="write it as BTC-USDT"):
        canonical_symbol(text)


def test_usd_is_not_usdt():
    assert canonical_symbol("BTC-USD") != canonical_symbol("BTC-USDT")
