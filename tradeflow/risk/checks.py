"""The checks of an order's numbers, one function a reason code; each looks at the worst that may come of it.

Fills, cancels and expiries of what is open may come in any order, and in part.  Each of them keeps
true what is checked here of a book (long end, short end, what is reserved), so it need not be checked again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_UP, Context, Decimal

from tables.exact import text
from tradeflow.messages import Order
from tradeflow.risk.denial import Denial, ReasonCode, above
from tradeflow.risk.halts import Halt
from tradeflow.risk.limits import Bounds
from tradeflow.risk.situation import Account, Exposure, Situation, Terms, mark, worst, worst_price

_FOR_SHOW = Context(prec=6, rounding=ROUND_UP)


@dataclass(slots=True)
class Case:
    """An order for a live book, its numbers, and what it meets there."""

    order: Order
    size: Decimal
    price: Decimal
    """Of a MARKET order the worst that it may be filled at."""
    mid: Decimal
    account: Account
    terms: Terms
    bounds: Bounds
    halt: tuple[str, Halt] | None
    exposure: Exposure
    """Without this order; `after`: with it."""
    after: Exposure
    seen: Situation
    gross_share: Decimal | None
    terms_of: Callable[[Account], Terms | Denial]

    @property
    def buys(self) -> bool:
        return self.order.side == "buy"


def tick(case: Case) -> Denial | None:
    step = case.terms.tick
    if step is None or case.order.type == "MARKET":
        return None
    return _off_step("TICK", "price", case.price, "tick", step)


def lot(case: Case) -> Denial | None:
    step = case.terms.lot
    return None if step is None else _off_step("LOT", "size", case.size, "lot", step)


def _off_step(code: ReasonCode, what: str, value: Decimal, name: str, step: Decimal) -> Denial | None:
    if not value % step:
        return None
    reason = f"{what} {text(value)} is no multiple of the {name} {text(step)}"
    return Denial(code, text(value), text(step), reason)


def price_collar(case: Case) -> Denial | None:
    allowed = case.bounds.price_collar_pct
    distance = 100 * abs(case.price - case.mid)
    if distance <= allowed * case.mid:
        return None
    percent = text(_FOR_SHOW.divide(distance, case.mid))
    return Denial(
        "PRICE_COLLAR",
        percent,
        text(allowed),
        f"price {text(case.price)} is {percent} % from the mid {text(case.mid)}, "
        f"beyond price_collar_pct {text(allowed)}",
    )


def min_notional(case: Case) -> Denial | None:
    least = case.terms.min_notional
    if least is None:
        return None
    value = case.terms.quote(case.size, case.mid if case.order.type == "MARKET" else case.price)
    if value >= least:
        return None
    reason = f"notional {text(value)} is below the exchange's least of {text(least)}"
    return Denial("MIN_NOTIONAL", text(value), text(least), reason)


def order_size(case: Case) -> Denial | None:
    limit = case.bounds.max_order_size
    if limit is None or case.size <= limit:
        return None
    return above("ORDER_SIZE", "size", case.size, "max_order_size", limit)


def notional(case: Case) -> Denial | None:
    """At its price or the mid, whichever is higher: a sell may be filled above its price."""
    limit = case.bounds.max_order_notional
    if limit is None:
        return None
    value = case.terms.worth(case.size, max(case.price, case.mid))
    return above("NOTIONAL", "notional", value, "max_order_notional", limit) if value > limit else None


def reduce_only(case: Case) -> Denial | None:
    """It may close what is there, not go beyond zero, even if all that is open on its side fills before it."""
    if case.halt is None:
        return None
    left = case.after.longest if case.buys else case.after.shortest
    if left <= 0 if case.buys else left >= 0:
        return None
    scope, halt = case.halt
    return Denial(
        "REDUCE_ONLY",
        text(left),
        "0",
        f"{scope} is reduce-only (by {halt.origin}): with what is open on its side the order may take "
        f"the position from {text(case.exposure.size)} to {text(left)}, beyond 0",
    )


def self_trade(case: Case) -> Denial | None:
    """Of two orders that can't rest in a book, neither can meet the other there."""
    rests = can_rest(case.order)
    for one in case.account.open_orders:
        other = one.order
        if other.side == case.order.side or not (rests or can_rest(other)):
            continue
        price = worst_price(one)
        if case.price >= price if case.buys else case.price <= price:
            return Denial(
                "SELF_TRADE",
                text(case.price),
                text(price),
                f"{case.order.side} at {text(case.price)} would trade with our own order {other.order_id} "
                f"({other.strategy}), {other.side} at {text(price)}",
            )
    return None


def can_rest(order: Order) -> bool:
    return order.type == "LIMIT" and order.tif == "GTC"


def open_orders(case: Case) -> Denial | None:
    limit, count = case.bounds.max_open_orders, len(case.account.open_orders) + 1
    if limit is None or count <= limit:
        return None
    return above("OPEN_ORDERS", "number of open orders", count, "max_open_orders", limit)


def position(case: Case) -> Denial | None:
    """The end that the order moves: the other one is as it was."""
    end = case.after.longest if case.buys else -case.after.shortest
    limit = case.bounds.max_position
    side = "long" if case.buys else "short"
    if limit is not None and end > limit:
        return above(
            "POSITION", f"position, if all open orders to {case.order.side} fill,", end, "max_position", limit
        )
    limit = case.bounds.max_position_notional
    if limit is None:
        return None
    value = case.terms.worth(end, case.mid)
    if value <= limit:
        return None
    what = f"notional of the {side} position, if all open orders to {case.order.side} fill,"
    return above("POSITION", what, value, "max_position_notional", limit)


def balance(case: Case) -> Denial | None:
    """Spot: what open orders may still spend is spent.  Contracts move no balance when they are bought."""
    if not case.terms.spot:
        return None
    needed = case.size
    currency, has = "base currency", case.account.position.base
    if not case.buys:
        needed += case.exposure.sells
    else:
        currency, has = "quote currency", case.account.position.quote
        needed *= case.price
        for one in case.account.open_orders:
            if one.order.side == "buy":
                needed += Decimal(one.leaves) * worst_price(one)
        needed += needed * case.bounds.fee_reserve_pct * Decimal("0.01")
    if needed <= has:
        return None
    return Denial(
        "BALANCE",
        text(needed),
        text(has),
        f"{text(needed)} of {currency}, open orders{' and fees' if case.buys else ''} included, is above "
        f"this book's balance {text(has)}",
    )


def gross_notional(case: Case) -> Denial | None:
    """Over the partition's books.  What makes none of their worst cases worse may pass a limit that is exceeded."""
    limit = case.gross_share
    if limit is None or case.after.worst <= case.exposure.worst:
        return None
    total = case.terms.worth(case.after.worst, case.mid)
    for account in case.seen.accounts.values():
        if account is case.account or not (account.position.size or account.open_orders):
            continue
        terms = case.terms_of(account)
        if isinstance(terms, Denial):
            return terms
        total += terms.worth(worst(account), mark(account))
    if total <= limit:
        return None
    return above(
        "GROSS_NOTIONAL",
        "gross notional of this partition, at the worst of its open orders,",
        total,
        "its part of max_gross_notional",
        limit,
    )


CHECKS: tuple[Callable[[Case], Denial | None], ...] = (
    tick,
    lot,
    price_collar,
    min_notional,
    order_size,
    notional,
    reduce_only,
    self_trade,
    open_orders,
    position,
    balance,
    gross_notional,
)
"""In this order; the first denial counts."""
