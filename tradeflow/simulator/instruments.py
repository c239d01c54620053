"""The instruments that the simulators list: ticks, lots and names like the exchanges' own; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tradeflow.symbols import canonical_symbol


def decimal_text(units: int, decimals: int) -> str:
    """`units` × 10^-`decimals` with all its decimals: (1234500, 4) is "123.4500"."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def short_text(units: int, decimals: int) -> str:
    """The same number without trailing zeros: (1234500, 4) is "123.45"."""
    text = decimal_text(units, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


class Instrument(NamedTuple):
    """One listed instrument.  Prices are counted in ticks and sizes in lots, both integers.

    A tick is `tick` × 10^-`price_decimals` of the quote currency, a lot `lot` × 10^-`size_decimals` of the
    base currency (of contracts at BitMEX)."""

    exchange: str
    symbol: str
    """Canonical."""
    name: str
    """As the exchange writes it."""
    base: str
    quote: str
    price_decimals: int
    tick: int
    size_decimals: int
    lot: int
    price: float
    """Where the market starts."""
    size: float
    """Typical size of one level, in base currency or contracts."""
    taker_fee: str

    def price_text(self, ticks: int) -> str:
        """Canonical decimal: no trailing zeros."""
        return short_text(ticks * self.tick, self.price_decimals)

    def size_text(self, lots: int) -> str:
        """Canonical decimal: no trailing zeros."""
        return short_text(lots * self.lot, self.size_decimals)

    @property
    def tick_text(self) -> str:
        return self.price_text(1)

    @property
    def lot_text(self) -> str:
        return self.size_text(1)


PRICES = {"BTC": 65_000.0, "ETH": 3_200.0, "SOL": 150.0, "ADA": 0.45}
SIZES = {"BTC": 0.15, "ETH": 2.5, "SOL": 60.0, "ADA": 9_000.0}
TAKER_FEES = {"binance": "0.001", "bitmex": "0.0005", "coinbase": "0.006", "kraken": "0.004"}
BITMEX_CONTRACTS = {"BTC": 12_000.0, "ETH": 300.0, "SOL": 800.0}

# exchange, symbol, the exchange's name, price decimals, tick, size decimals, lot
_LISTED: list[tuple[str, str, str, int, int, int, int]] = [
    ("binance", "BTC-USDT", "BTCUSDT", 2, 1, 5, 1),
    ("binance", "ETH-USDT", "ETHUSDT", 2, 1, 4, 1),
    ("binance", "SOL-USDT", "SOLUSDT", 2, 1, 3, 1),
    ("binance", "ADA-USDT", "ADAUSDT", 4, 1, 1, 1),
    ("bitmex", "BTC-USD-PERP", "XBTUSD", 1, 5, 0, 100),
    ("bitmex", "ETH-USD-PERP", "ETHUSD", 2, 5, 0, 1),
    ("bitmex", "SOL-USD-PERP", "SOLUSD", 2, 1, 0, 1),
    ("coinbase", "BTC-USD", "BTC-USD", 2, 1, 8, 1),
    ("coinbase", "BTC-USDT", "BTC-USDT", 2, 1, 8, 1),
    ("coinbase", "ETH-USDT", "ETH-USDT", 2, 1, 8, 1),
    ("coinbase", "SOL-USDT", "SOL-USDT", 2, 1, 8, 1),
    ("kraken", "BTC-USD", "BTC/USD", 1, 1, 8, 1),
    ("kraken", "BTC-USDT", "BTC/USDT", 1, 1, 8, 1),
    ("kraken", "ETH-USDT", "ETH/USDT", 2, 1, 8, 1),
    ("kraken", "SOL-USDT", "SOL/USDT", 2, 1, 8, 1),
]


def _instrument(row: tuple[str, str, str, int, int, int, int]) -> Instrument:
    exchange, symbol, name, price_decimals, tick, size_decimals, lot = row
    base, quote = symbol.split("-")[:2]
    size = BITMEX_CONTRACTS[base] if exchange == "bitmex" else SIZES[base]
    fee = TAKER_FEES[exchange]
    return Instrument(
        exchange, symbol, name, base, quote, price_decimals, tick, size_decimals, lot, PRICES[base], size, fee
    )


INSTRUMENTS = tuple(_instrument(row) for row in _LISTED)


def listed(exchanges: Sequence[str] = (), symbols: Sequence[str] = ()) -> tuple[Instrument, ...]:
    """The instruments of some exchanges and symbols (any spelling); an empty list means all.

    Raises ValueError, with what is listed, for a name that no simulator lists."""
    wanted = [canonical_symbol(symbol) for symbol in symbols]
    known_exchanges = sorted({i.exchange for i in INSTRUMENTS})
    known_symbols = sorted({i.symbol for i in INSTRUMENTS})
    for given, known, what in ((exchanges, known_exchanges, "exchange"), (wanted, known_symbols, "symbol")):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"no simulator lists {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(
        i
        for i in INSTRUMENTS
        if (not exchanges or i.exchange in exchanges) and (not wanted or i.symbol in wanted)
    )
