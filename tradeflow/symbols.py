"""Canonical symbols: `BASE-QUOTE`, or `BASE-QUOTE-PERP` for a perpetual; pure."""

from __future__ import annotations

import functools
import re

# Longest first: USDT must be tried before USD.
QUOTES = ("USDT", "USDC", "FDUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB")

_PARTS = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)+")


class SymbolError(ValueError):
    """A symbol that cannot be understood; the message says which forms can."""


@functools.lru_cache(maxsize=65536)
def canonical_symbol(text: str) -> str:
    """`BTC-USDT` of `BTC-USDT`, `btc/usdt`, `BTC_USDT` or `BTCUSDT`; Kraken's `XBT` becomes `BTC`.

    Raises SymbolError for anything else."""
    symbol = text.strip().upper().replace("/", "-").replace("_", "-")
    if "-" not in symbol:
        quote = next((q for q in QUOTES if symbol.endswith(q) and len(symbol) > len(q)), None)
        if quote is None:
            raise SymbolError(f"{text!r} is not a symbol: write it as BTC-USDT, BTC/USDT or BTCUSDT")
        symbol = f"{symbol[: -len(quote)]}-{quote}"
    if not _PARTS.fullmatch(symbol):
        raise SymbolError(f"{text!r} is not a symbol: write it as BTC-USDT, BTC/USDT or BTCUSDT")
    return "-".join("BTC" if part == "XBT" else part for part in symbol.split("-"))
