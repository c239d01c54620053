"""Which Source an exchange's name stands for."""

from __future__ import annotations

from collections.abc import Iterable

from tradeflow.feeds.source import Source
from tradeflow.settings import Settings, SettingsError


def check_exchanges(exchanges: Iterable[str]) -> None:
    """Raises SettingsError for an exchange that nobody can serve, before anything is started."""
    for exchange in set(exchanges):
        try:
            make_source(exchange, [], Settings.model_construct())
        except SettingsError:
            raise
        except ValueError as error:
            raise SettingsError(f"EXCHANGES: {error}. Remove {exchange!r} or its partition map.") from None


def make_source(exchange: str, symbols: list[str], settings: Settings) -> Source:
    """A live source of one connection; its endpoints come from the settings.

    exchange: `binance`, `kraken`, … or any of cryptofeed's; symbols: canonical.  Raises ValueError for an
    exchange that nobody can serve."""
    # Imported here: cryptofeed takes a second, which only workers that run feeds should pay.
    from tradeflow.feeds.binance import binance
    from tradeflow.feeds.bitmex import bitmex
    from tradeflow.feeds.coinbase import coinbase
    from tradeflow.feeds.generic import generic
    from tradeflow.feeds.kraken import kraken

    ours = {"binance": binance, "bitmex": bitmex, "coinbase": coinbase, "kraken": kraken}
    source = ours[exchange](symbols, settings) if exchange in ours else generic(exchange, symbols, settings)
    # Who lets books be silent for longer doesn't want their connection restarted earlier.
    source.quiet_seconds = max(source.quiet_seconds, settings.silence_timeout)
    return source
