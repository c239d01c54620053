"""Which Source an exchange's name stands for."""

from __future__ import annotations

from tradeflow.feeds.source import Source
from tradeflow.settings import Settings


def make_source(exchange: str, symbols: list[str], settings: Settings) -> Source:
    """A live source; its endpoints come from the settings.

    exchange: `binance`, …; symbols: canonical.  Raises ValueError for an exchange that nobody can serve."""
    # Imported here: cryptofeed takes a second, which only workers that run feeds should pay.
    from tradeflow.feeds.binance import binance

    if exchange == "binance":
        return binance(symbols, settings)
    raise ValueError(f"no feed for exchange {exchange!r}")
