"""What exchanges charge: dated maker and taker fees, those of the public schedules or the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from tables.contracts import worth
from tables.exact import EXACT
from tables.instruments import Instrument
from tradeflow.messages import Liquidity, Side

_DAY = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)
_ABSURD = Decimal("0.05")


class FeesError(ValueError):
    """fees.toml is unusable; the message names the entry, the value and what is allowed."""


class Fee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fees as fractions of what a fill is worth (0.001 = 0.1 %); below zero is a rebate."""

    exchange: str
    symbol: str = ""
    """Empty: all of the exchange that have no entry of their own."""
    since: date
    """From the beginning of this day, UTC."""
    maker: Decimal
    taker: Decimal
    paid_in: Literal["quote", "received"] = "quote"
    """Spot: always in quote, or in what the fill brings (bought: base).  Contracts pay in what settles them."""


# The lowest tier of the public schedules, as read in 2025: Binance spot, BitMEX perpetuals, Coinbase Advanced, Kraken
# Pro.  They change and depend on the account: fees.toml replaces them.
PUBLISHED = (
    Fee(
        exchange="binance",
        since=date(2025, 1, 1),
        maker=Decimal("0.001"),
        taker=Decimal("0.001"),
        paid_in="received",
    ),
    Fee(exchange="bitmex", since=date(2025, 1, 1), maker=Decimal("0.0005"), taker=Decimal("0.0005")),
    Fee(exchange="coinbase", since=date(2025, 1, 1), maker=Decimal("0.004"), taker=Decimal("0.006")),
    Fee(exchange="kraken", since=date(2025, 1, 1), maker=Decimal("0.0025"), taker=Decimal("0.004")),
)

TAKER_FEES = {fee.exchange: fee.taker for fee in PUBLISHED}
"""exchange → published taker fee."""


class Fees:
    """Which fee is in force where and when.  An exchange of `own` has nothing of PUBLISHED any more."""

    def __init__(self, own: Iterable[Fee] = ()) -> None:
        own = list(own)
        replaced = {fee.exchange for fee in own}
        rows = [fee for fee in PUBLISHED if fee.exchange not in replaced] + own
        self._rows: dict[tuple[str, str], list[tuple[int, Fee]]] = {}
        for fee in sorted(rows, key=lambda fee: fee.since):
            since = (fee.since - _EPOCH).days * _DAY
            self._rows.setdefault((fee.exchange, fee.symbol), []).append((since, fee))

    def at(self, exchange: str, symbol: str, time: int) -> Fee | None:
        """The symbol's own entry before the exchange's; of those the last that had begun at `time`, or the first of
        all.  None for an exchange without any."""
        rows = self._rows.get((exchange, symbol)) or self._rows.get((exchange, ""))
        if rows is None:
            return None
        return next((fee for since, fee in reversed(rows) if since <= time), rows[0][1])

    def highest(self, exchange: str, symbol: str) -> Decimal | None:
        """Of maker and taker, in all entries that are, were or will be in force there."""
        rows = self._rows.get((exchange, symbol)) or self._rows.get((exchange, "")) or []
        return max((max(fee.maker, fee.taker) for _, fee in rows), default=None)


def charge(
    fee: Fee, instrument: Instrument, side: Side, price: Decimal, size: Decimal, liquidity: Liquidity
) -> tuple[Decimal, str]:
    """(amount, currency) of one fill.  Exact, but of inverse contracts, whose worth is rounded to 20 decimals;
    exchanges round to the currency's own digits."""
    rate = fee.maker if liquidity == "maker" else fee.taker
    if instrument.contract == "spot" and fee.paid_in == "received" and side == "buy":
        return EXACT.multiply(size, rate), instrument.base
    value = Decimal(instrument.contract_value or 1)
    amount = EXACT.multiply(worth(instrument.contract, value, price, size), rate)
    return amount, instrument.base if instrument.contract == "inverse" else instrument.quote


def parse_fees(text: str) -> Fees:
    """The fees of a fees.toml: `[[fee]]` tables with the fields of Fee, numbers exact as written.

    Raises FeesError."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise FeesError(f"not TOML: {error}") from None
    unknown = sorted(document.keys() - {"fee"})
    if unknown or not isinstance(document.get("fee", []), list):
        raise FeesError(f"{', '.join(unknown) or 'fee'}: write each entry as a table [[fee]]")
    own = [_entry(number, row) for number, row in enumerate(document.get("fee", []), 1)]
    seen = [(fee.exchange, fee.symbol, fee.since) for fee in own]
    for place in seen:
        if seen.count(place) > 1:
            raise FeesError(f"two entries for {' '.join(map(str, place))}: keep one")
    for exchange in {fee.exchange for fee in own} - {fee.exchange for fee in own if not fee.symbol}:
        raise FeesError(
            f"{exchange} has entries for single symbols only: add one without symbol for the rest"
        )
    return Fees(own)


def _entry(number: int, row: Any) -> Fee:
    try:
        fee = msgspec.convert(row, Fee)
    except msgspec.ValidationError as error:
        raise FeesError(f"entry {number} of [[fee]]: {error}") from None
    for name, rate in (("maker", fee.maker), ("taker", fee.taker)):
        if not rate.is_finite() or abs(rate) >= _ABSURD:
            raise FeesError(
                f"entry {number} of [[fee]]: {name} = {rate} is {100 * rate} %: write a fraction below {_ABSURD}"
            )
    return fee
