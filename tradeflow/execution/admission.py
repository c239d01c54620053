"""What an exchange refuses before it matches anything: the rules of the instrument."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tables.exact import EXACT, text
from tables.instruments import Instrument
from tradeflow.messages import Order


class Refusal(NamedTuple):
    reason_code: str
    reason: str
    """With the value and the limit."""


def assumed_instrument(exchange: str, symbol: str) -> Instrument | None:
    """Of a symbol that no exchange has described: spot, where it is two currencies; else None."""
    parts = symbol.split("-")
    if len(parts) != 2:
        return None
    return Instrument(exchange=exchange, symbol=symbol, base=parts[0], quote=parts[1])


def refusal(order: Order, instrument: Instrument, touch: Decimal | None) -> Refusal | None:
    """Why the exchange would not take this order; `touch` is the best opposite price, for a MARKET order's notional.

    What the instrument leaves out isn't checked."""
    size = Decimal(order.size)
    price = Decimal(order.price) if order.price is not None else touch
    if order.price is not None and instrument.tick and not _is_multiple(order.price, instrument.tick):
        return Refusal("TICK", f"price {order.price} is no multiple of the tick {instrument.tick}")
    if instrument.lot and not _is_multiple(order.size, instrument.lot):
        return Refusal("LOT", f"size {order.size} is no multiple of the lot {instrument.lot}")
    if instrument.min_notional and price is not None:
        notional = _notional(instrument, price, size)
        if notional < Decimal(instrument.min_notional):
            least = f"{instrument.min_notional} {instrument.quote}"
            return Refusal("MIN_NOTIONAL", f"notional {text(notional)} is below the least, {least}")
    return None


def _notional(instrument: Instrument, price: Decimal, size: Decimal) -> Decimal:
    """In quote, of every kind of contract."""
    units = EXACT.multiply(size, Decimal(instrument.contract_value or 1))
    return units if instrument.contract == "inverse" else EXACT.multiply(units, price)


def _is_multiple(number: str, step: str) -> bool:
    return not EXACT.remainder(Decimal(number), Decimal(step))
