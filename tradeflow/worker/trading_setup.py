"""What orders may do and cost, and what there is to spend: risk.toml, fees.toml and balances.toml, put together."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from tables.exact import text
from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.execution import Fees, PaperExchange
from tradeflow.execution.fees import FeesError, parse_fees
from tradeflow.market.accounts import Place
from tradeflow.normalize import NormalizeError, canonical_decimal
from tradeflow.risk import Limits, LimitsError, RiskGate, check_reserves, gross_share, parse_limits, purses
from tradeflow.settings import Settings, SettingsError
from tradeflow.strategies import Strategy

Balances = dict[str, dict[str, Decimal]]
"""Exchange → currency → balance."""

PAPER_BALANCES = {
    "USD": Decimal(100_000),
    "USDT": Decimal(100_000),
    "USDC": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(40),
    "SOL": Decimal(1_000),
    "ADA": Decimal(200_000),
}
"""On each exchange of which balances.toml says nothing."""


class TradingFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What the three files say, and how far the paper exchange is; empty texts where there are none."""

    risk: str = ""
    fees: str = ""
    balances: str = ""
    names: tuple[str, str, str] = ("risk.toml", "fees.toml", "balances.toml")
    """As an error names them, in this order."""
    paper_latency: float
    """Seconds each way."""


def read_trading(config: Settings) -> TradingFiles:
    """The files that the settings name, or those in this directory.  Raises SettingsError."""
    return TradingFiles(
        risk=_read(config.risk_file, "risk.toml"),
        fees=_read(config.fees_file, "fees.toml"),
        balances=_read(config.balances_file, "balances.toml"),
        names=(
            str(config.risk_file or "risk.toml"),
            str(config.fees_file or "fees.toml"),
            str(config.balances_file or "balances.toml"),
        ),
        paper_latency=config.paper_latency,
    )


class TradingSetup:
    """Of all partitions, for all markets that serve `books`.  Raises SettingsError for a file that can't be used; it
    names file, key, value and what is allowed."""

    def __init__(
        self,
        files: TradingFiles,
        partitions: Mapping[str, int],
        books: Collection[Place],
        strategies: Iterable[Strategy],
    ) -> None:
        """`partitions`: symbol → partition."""
        self._latency = round(files.paper_latency * 1e9)
        self._fees_text = files.fees
        exchanges, symbols = {exchange for exchange, _ in books}, {symbol for _, symbol in books}
        risk_name, fees_name, balances_name = files.names
        try:
            self.limits: Limits = parse_limits(
                files.risk,
                risk_name,
                exchanges=exchanges,
                symbols=symbols,
                strategies={strategy.name for strategy in strategies},
            )
            self._fees: Fees = parse_fees(files.fees)
            check_reserves(self.limits, _highest_fees(self._fees, books), risk_name)
        except LimitsError as error:
            raise SettingsError(str(error)) from None
        except FeesError as error:
            raise SettingsError(f"{fees_name}: {error}") from None
        self._held = parse_balances(files.balances, balances_name, exchanges)
        self._share = gross_share(self.limits.max_gross_notional, books, partitions)
        self.balances = purses(self._held, {place: place[1].split("-")[:2] for place in books})

    def gate(self) -> RiskGate:
        """For one partition."""
        return RiskGate(self.limits, self._share)

    def venue(
        self, books: Mapping[Place, OrderBook], instruments: Mapping[Place, Instrument]
    ) -> PaperExchange:
        return PaperExchange(books, fees=self._fees, instruments=instruments, latency_ns=self._latency)

    def terms(self) -> dict[str, str]:
        """What all workers must have in common."""
        held = {
            f"balance {exchange} {currency}": text(amount)
            for exchange, currencies in self._held.items()
            for currency, amount in currencies.items()
        }
        fees = (
            hashlib.blake2b(self._fees_text.encode(), digest_size=6).hexdigest()
            if self._fees_text
            else "published"
        )
        limits = {f"limit {name}": value for name, value in self.limits.described().items()}
        return held | limits | {"fees": fees, "paper latency": f"{self._latency} ns"}


def parse_balances(toml: str, file: str, exchanges: Collection[str]) -> Balances:
    """The balances of a balances.toml, `[exchange]` sections of `currency = amount`: of an exchange that has one that
    is all it holds.  Raises SettingsError."""
    try:
        found = tomllib.loads(toml, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise SettingsError(f"{file} is no TOML: {error}") from None
    balances: Balances = {exchange: dict(PAPER_BALANCES) for exchange in sorted(exchanges)}
    for exchange, section in found.items():
        if exchange not in exchanges or not isinstance(section, dict):
            known = ", ".join(sorted(exchanges))
            raise SettingsError(f"{file}: [{exchange}] is none of the exchanges that are served: {known}")
        balances[exchange] = {
            currency.upper(): _amount(value, f"{file}: [{exchange}] {currency}")
            for currency, value in section.items()
        }
    return balances


def _amount(value: object, where: str) -> Decimal:
    if not isinstance(value, bool) and isinstance(value, (int, str, Decimal)):
        try:
            return Decimal(canonical_decimal(str(value)))
        except NormalizeError:
            pass
    raise SettingsError(f"{where} = {value!r}: must be a number, 0 or more")


def _read(given: Path | None, default: str) -> str:
    """The text of a file; empty for the default one that isn't there."""
    path = given or Path(default)
    if given is None and not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from None


def _highest_fees(fees: Fees, books: Iterable[Place]) -> dict[Place, Decimal]:
    spot = [place for place in books if len(place[1].split("-")) == 2]
    return {place: fee for place in spot if (fee := fees.highest(*place)) is not None}
