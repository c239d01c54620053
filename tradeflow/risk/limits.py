"""`Limits`: what the gate allows; exact and frozen.  `limits_file` reads them from risk.toml."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

Value = Decimal | int | None
"""None: no limit."""

DOLLARS = {"USD": Decimal(1), "USDT": Decimal(1), "USDC": Decimal(1)}
"""What counts as the limits' unit unless risk.toml says otherwise."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of an order: those of risk.toml's sections that apply to it."""

    price_collar_pct: Decimal = Decimal(5)
    """Distance of the price from the mid, in percent of it; where a MARKET order's price ends."""
    max_order_size: Decimal | None = None
    """In the book's own unit: base currency, or contracts."""
    max_order_notional: Decimal | None = Decimal(10_000)
    max_open_orders: int | None = 20
    """On one book, of all strategies."""
    max_position: Decimal | None = None
    """On one book, long or short, in its own unit."""
    max_position_notional: Decimal | None = Decimal(100_000)
    """On one book, long or short, at the mid."""
    max_orders_per_second: int | None = 20
    """Of one strategy on one symbol."""
    max_signal_age_ms: int | None = 2_000
    fee_reserve_pct: Decimal = Decimal(1)
    """What a spot buy reserves on top of its cost; not less than the highest fee of the exchange."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that risk.toml says.  For a book, `symbols` goes before `exchanges` before `default`; what
    `strategies` says of a strategy's orders counts beside it, the stricter of both."""

    max_gross_notional: Decimal | None = Decimal(1_000_000)
    """Over all books: the sum of their worst positions, long or short, at the mids."""
    rates: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(DOLLARS))
    """Quote currency → what one counts in the limits' unit."""
    default: Bounds = Bounds()
    exchanges: dict[str, dict[str, Value]] = {}
    symbols: dict[str, dict[str, Value]] = {}
    strategies: dict[str, dict[str, Value]] = {}
    """And plain agents."""

    def of(self, exchange: str, symbol: str, strategy: str) -> Bounds:
        """Those of a strategy's orders for one book."""
        changes: dict[str, Any] = {**self.exchanges.get(exchange, {}), **self.symbols.get(symbol, {})}
        for name, value in self.strategies.get(strategy, {}).items():
            other = changes.get(name, getattr(self.default, name))
            changes[name] = min((one for one in (value, other) if one is not None), default=None)
        return msgspec.structs.replace(self.default, **changes)

    def described(self) -> dict[str, str]:
        """Every value by its place in risk.toml, for comparing and showing."""
        sections: dict[str, Mapping[str, Value]] = {"": {"max_gross_notional": self.max_gross_notional}}
        sections["[rates] "] = self.rates
        sections["[default] "] = msgspec.structs.asdict(self.default)
        for kind, named in (
            ("exchange", self.exchanges),
            ("symbol", self.symbols),
            ("strategy", self.strategies),
        ):
            sections |= {f"[{kind}.{name}] ": values for name, values in named.items()}
        return {
            section + key: "none" if value is None else str(value)
            for section, values in sections.items()
            for key, value in values.items()
        }
