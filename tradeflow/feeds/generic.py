"""Any other exchange of cryptofeed, by its name in lower case: `okx`, `kraken-v1`, `binance-us`, …"""

from __future__ import annotations

from cryptofeed.exchanges import EXCHANGE_MAP

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.settings import Settings

ALIASES = {"kraken-v1": "KRAKEN"}
DEPTHS = {"kraken-v1": 1000}
"""Where the exchange cuts its book without saying so."""


def generic(exchange: str, symbols: list[str], settings: Settings) -> CryptofeedSource:
    """What its books guarantee is what cryptofeed checks: read its class before you trade on it.

    Raises ValueError for a name that cryptofeed doesn't know."""
    name = ALIASES.get(exchange, exchange.upper().replace("-", "_"))
    if name not in EXCHANGE_MAP:
        known = ", ".join(sorted([*(key.lower().replace("_", "-") for key in EXCHANGE_MAP), *ALIASES]))
        raise ValueError(f"no feed for exchange {exchange!r}; there are: {known}")
    source = CryptofeedSource(
        exchange,
        symbols,
        EXCHANGE_MAP[name],
        rest=settings.endpoint(exchange, "rest"),
        ws=settings.endpoint(exchange, "ws"),
    )
    source.depth = DEPTHS.get(exchange)
    return source
