"""What one book's fills have left: balances, an average price, profit and loss; exact."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tables.contracts import Contract, average_price, worth
from tables.exact import EXACT, quotient

_ZERO = Decimal(0)


class Position(msgspec.Struct, kw_only=True):
    """Money is in `currency`: quote, of inverse contracts base.  P&L is before fees; those are counted apart.

    Cost is an average: what closes a part takes its share of the cost.  Sums and products are exact.  Quotients are
    rounded half even to 20 decimals: that share, and the worth of inverse contracts (BitMEX itself rounds to satoshis).
    The share is taken from one sum and added to the other, so realized + unrealized is what the fills paid and the rest
    is worth, to the last digit, after any number of fills.  Funding is not part of it."""

    contract: Contract = "spot"
    contract_value: Decimal = Decimal(1)
    """Of one contract: in quote if inverse, in base if linear; 1 for spot."""
    base_currency: str
    quote_currency: str
    base: Decimal = _ZERO
    """Spot: balance of the base currency.  Contracts: their signed number."""
    quote: Decimal = _ZERO
    """Spot: balance of the quote currency.  Contracts: balance of the settlement currency, which realized P&L and
    fees change."""
    size: Decimal = _ZERO
    """Bought minus sold since the start, fees aside; below zero is short."""
    cost: Decimal = _ZERO
    """What `size` was bought for; of what is short, minus what it was sold for.  Inverse: the other way round."""
    realized: Decimal = _ZERO
    fees: dict[str, Decimal] = {}
    """Currency → paid so far; below zero is a rebate.  One in a currency that is neither changes no balance here."""

    @property
    def currency(self) -> str:
        """Of cost, realized and unrealized."""
        return self.base_currency if self.contract == "inverse" else self.quote_currency

    @property
    def average_price(self) -> Decimal | None:
        """Of `size`; None when flat.  As tables.exact.average() rounds."""
        if not self.size:
            return None
        return average_price(self.contract, self.contract_value, self.cost.copy_abs(), self.size.copy_abs())

    def fill(self, side: str, price: Decimal, size: Decimal, fee: Decimal, fee_currency: str) -> None:
        """`size` more bought or sold (`buy`, `sell`) at `price`; a fill that comes twice counts twice."""
        signed = size if side == "buy" else EXACT.minus(size)
        flow, left, gained = self._flow(price, signed), EXACT.add(self.size, signed), _ZERO
        if not self.size or (self.size > 0) == (signed > 0):
            self.cost = EXACT.add(self.cost, flow)
        elif not left or (left > 0) == (self.size > 0):
            gained = self._close(flow, signed)
        else:  # through zero: all that was there is closed, the rest of the flow opens the other side
            closing = self._flow(price, EXACT.minus(self.size))
            gained = self._close(closing, self.size)
            self.cost = EXACT.subtract(flow, closing)
        self.size = left
        self.realized = EXACT.add(self.realized, gained)
        if self.contract == "spot":
            self.base = EXACT.add(self.base, signed)
            self.quote = EXACT.subtract(self.quote, EXACT.multiply(price, signed))
        else:
            self.base = EXACT.add(self.base, signed)
            self.quote = EXACT.add(self.quote, gained)
        self._pay(fee, fee_currency)

    def unrealized(self, mid: Decimal) -> Decimal:
        """What closing all of it at `mid` would realize."""
        return EXACT.subtract(self._flow(mid, self.size), self.cost) if self.size else _ZERO

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, value: bytes) -> Position:
        """What encode() wrote.  Raises msgspec.DecodeError for other bytes."""
        return msgspec.json.decode(value, type=cls)

    def _flow(self, price: Decimal, signed: Decimal) -> Decimal:
        """What `signed` adds to the cost: an inverse contract gains as its worth in base falls."""
        amount = worth(self.contract, self.contract_value, price, signed)
        return EXACT.minus(amount) if self.contract == "inverse" else amount

    def _close(self, flow: Decimal, size: Decimal) -> Decimal:
        """Take the share of `size`, no more than there is, out of the cost; what that realizes."""
        part, whole = size.copy_abs(), self.size.copy_abs()
        share = self.cost if part == whole else quotient(EXACT.multiply(self.cost, part), whole)
        self.cost = EXACT.subtract(self.cost, share)
        return EXACT.minus(EXACT.add(flow, share))

    def _pay(self, fee: Decimal, currency: str) -> None:
        if not fee:
            return
        self.fees[currency] = EXACT.add(self.fees.get(currency, _ZERO), fee)
        if self.contract == "spot" and currency == self.base_currency:
            self.base = EXACT.subtract(self.base, fee)
        elif currency == self.currency:
            self.quote = EXACT.subtract(self.quote, fee)
