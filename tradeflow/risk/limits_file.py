"""risk.toml → `Limits`; refused as a whole if anything in it is unclear."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tables.exact import text
from tradeflow.messages.orders import AGENT_NAME
from tradeflow.normalize import NormalizeError, canonical_decimal
from tradeflow.risk.limits import DOLLARS, Bounds, Limits, Value
from tradeflow.symbols import canonical_symbol


class LimitsError(ValueError):
    """A risk.toml that can't be used; the message names file, key, value and what is allowed."""


def parse_limits(
    toml: str,
    file: str = "risk.toml",
    *,
    exchanges: Collection[str] | None = None,
    symbols: Collection[str] | None = None,
    strategies: Collection[str] | None = None,
) -> Limits:
    """The limits that the text of a risk.toml sets; what it doesn't name has its default.

    Section names must be among `exchanges`, `symbols` (canonical) and `strategies`, where given: a misspelled
    section would limit nothing.  Plain agents can't be looked up.  Raises LimitsError."""
    try:
        # TOML's numbers become exact ones, so 0.1 may be written without quotes.
        raw = tomllib.loads(toml, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise LimitsError(f"{file} is no TOML: {error}") from None
    except ValueError as error:  # an integer of thousands of digits
        raise LimitsError(f"{file} has a number that can't be read: {error}") from None
    parser = _Parser(file)
    tables = {
        key: parser.table(key, raw.pop(key, {}))
        for key in ("rates", "default", "exchange", "symbol", "strategy", "agent")
    }
    by_sender = parser.named("strategy", tables["strategy"], strategies, _STRATEGY)
    agents = parser.named("agent", tables["agent"], None, _STRATEGY, _agent_name)
    if both := sorted(by_sender.keys() & agents.keys()):
        raise LimitsError(f"{file}: {both[0]} is a strategy and an agent: keep one section")
    return Limits(
        **parser.values("", raw, {"max_gross_notional": _AMOUNT}),
        **parser.rates(tables["rates"]),
        default=Bounds(**parser.values("default", tables["default"], _BOOK)),
        exchanges=parser.named("exchange", tables["exchange"], exchanges, _BOOK),
        symbols=parser.named("symbol", tables["symbol"], symbols, _BOOK, canonical_symbol),
        strategies=by_sender | agents,
    )


def check_reserves(limits: Limits, fees: Mapping[tuple[str, str], Decimal], file: str = "risk.toml") -> None:
    """Raises LimitsError if a book's fee_reserve_pct doesn't cover its highest fee: then a balance could end below 0.

    `fees`: each spot book that is served, (exchange, symbol) → fee as a fraction of what a fill is worth."""
    for (exchange, symbol), fee in sorted(fees.items()):
        reserve, needed = limits.of(exchange, symbol, "").fee_reserve_pct, 100 * fee
        if reserve < needed:
            raise LimitsError(
                f"{file}: fee_reserve_pct is {text(reserve)} for {exchange} {symbol}, whose fee is {text(needed)} %: "
                f"set it to {text(needed)} or more"
            )


class _Kind(NamedTuple):
    allowed: str
    read: Callable[[object], Value]
    """Raises ValueError for what isn't allowed."""


class _Parser:
    def __init__(self, file: str) -> None:
        self._file = file

    def table(self, key: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise LimitsError(f"{self._file}: {key} = {value!r} is no section: write [{key}] above its keys")
        return value

    def values(self, section: str, raw: dict[str, Any], kinds: Mapping[str, _Kind]) -> dict[str, Any]:
        found = {}
        where = f"[{section}] " if section else ""
        for key, value in raw.items():
            if key not in kinds:
                also = (
                    "" if section else "; sections: rates, default, exchange.…, symbol.…, strategy.…, agent.…"
                )
                raise LimitsError(
                    f"{self._file}: {where}{key} is not known; known keys: {', '.join(kinds)}{also}"
                )
            try:
                found[key] = kinds[key].read(value)
            except ValueError:
                raise LimitsError(
                    f"{self._file}: {where}{key} = {_shown(value)}: must be {kinds[key].allowed}"
                ) from None
        return found

    def rates(self, raw: dict[str, Any]) -> dict[str, Any]:
        """As the argument of Limits: what is given is added to the default rates."""
        given = self.values("rates", raw, dict.fromkeys(raw, _RATE))
        return {"rates": DOLLARS | {currency.upper(): rate for currency, rate in given.items()}}

    def named(
        self,
        kind: str,
        raw: dict[str, Any],
        known: Collection[str] | None,
        kinds: Mapping[str, _Kind],
        canonical: Callable[[str], str] = str,
    ) -> dict[str, dict[str, Value]]:
        found: dict[str, dict[str, Value]] = {}
        for written, values in raw.items():
            section = f"{kind}.{written}"
            try:
                name = canonical(written)
            except ValueError as error:
                raise LimitsError(f"{self._file}: [{section}]: {error}") from None
            if known is not None and name not in known:
                raise LimitsError(
                    f"{self._file}: [{section}]: there is no such {kind}, but {', '.join(sorted(known))}"
                )
            if name in found:
                raise LimitsError(f"{self._file}: [{section}]: {name} has a section already; keep one")
            found[name] = self.values(section, self.table(section, values), kinds)
        return found


def _agent_name(written: str) -> str:
    if not AGENT_NAME.fullmatch(written):
        raise ValueError("a plain agent's name has 1 to 64 letters, digits, dots, - or _")
    return written


def _number(value: object) -> Decimal:
    """From an integer, a number with a point, or either of them as a string."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError
    try:
        return Decimal(canonical_decimal(str(value)))
    except NormalizeError:
        raise ValueError from None


def _positive(value: object) -> Decimal:
    number = _number(value)
    if number == 0:
        raise ValueError
    return number


def _percent(value: object) -> Decimal:
    number = _number(value)
    if number >= 100:
        raise ValueError
    return number


def _positive_percent(value: object) -> Decimal:
    return _percent(_positive(value))


def _amount(value: object) -> Decimal | None:
    return None if value == "none" else _number(value)


def _count(value: object) -> int | None:
    if value == "none":
        return None
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)[:100]


_AMOUNT = _Kind('a number, 0 or more, or "none"', _amount)
_COUNT = _Kind('a whole number, 0 or more, or "none"', _count)
_RATE = _Kind("a number above 0", _positive)

_STRATEGY: dict[str, _Kind] = {
    "price_collar_pct": _Kind("a number above 0 and below 100", _positive_percent),
    "max_order_size": _AMOUNT,
    "max_order_notional": _AMOUNT,
    "max_orders_per_second": _COUNT,
    "max_signal_age_ms": _COUNT,
}
"""Those of a single order; the others belong to a book, which strategies share."""

_BOOK: dict[str, _Kind] = _STRATEGY | {
    "max_open_orders": _COUNT,
    "max_position": _AMOUNT,
    "max_position_notional": _AMOUNT,
    "fee_reserve_pct": _Kind("a number, 0 or more, below 100", _percent),
}
