"""`RiskGate`: whether an order may go to a venue, with books, positions and open orders as of its place in the log."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, localcontext

import msgspec

from tables.exact import EXACT, text
from tables.instruments import Instrument
from tradeflow.execution.admission import assumed_instrument
from tradeflow.messages import Order, Steer
from tradeflow.messages.orders import AGENT_NAME
from tradeflow.normalize import NormalizeError, canonical_decimal
from tradeflow.risk.checks import CHECKS, Case
from tradeflow.risk.denial import Denial, above
from tradeflow.risk.halts import Halts
from tradeflow.risk.limits import Bounds, Limits
from tradeflow.risk.situation import Account, Exposure, Situation, Terms

SECOND = 1_000_000_000

_ONE = Decimal(1)


class RiskGate:
    """The limits, and what it must remember: halts, and when each strategy's last orders passed.

    `gross_share`: this partition's part of max_gross_notional, see `division.gross_share`."""

    def __init__(self, limits: Limits, gross_share: Decimal | None) -> None:
        self.limits = limits
        self.gross_share = gross_share
        self.halts = Halts()
        self.dirty = False
        self._bounds: dict[tuple[str, str, str], Bounds] = {}
        self._terms: dict[tuple[str, str], tuple[Instrument | None, Terms | Denial]] = {}
        """Of each book, and the instrument that they were made of."""
        self._passed: dict[tuple[str, str], deque[int]] = {}
        """(strategy, symbol) → event times of its orders that passed in the last second."""

    def check(self, order: Order, seen: Situation, now: int) -> Denial | None:
        """None: it may go to the venue, as `bounded` makes it, and counts as open from now on.

        `now` is event time, which never goes back.  A CANCEL always passes.  Never raises for what the order says."""
        if order.command == "CANCEL":
            return None
        with localcontext(EXACT):
            denial = self._denial(order, seen, now)
        if denial is None:
            self._passed.setdefault((order.strategy, order.symbol), deque()).append(now)
            self.dirty = True
        return denial

    def bounded(self, order: Order, seen: Situation) -> Order:
        """What goes to the venue of an order that has just passed: a MARKET order ends at the collar's edge.

        So it is a LIMIT order that doesn't rest (IOC, or FOK if it was), and its worst price is known."""
        if order.command == "CANCEL" or order.type != "MARKET":
            return order
        account = seen.accounts[order.exchange, order.symbol]
        with localcontext(EXACT):
            edge = _edge(order, account, self._bounds_of(order), _mid(account))
        tif = "FOK" if order.tif == "FOK" else "IOC"
        return msgspec.structs.replace(order, type="LIMIT", tif=tif, price=text(edge))

    def steer(self, steer: Steer) -> None:
        """An operator's word, once; see Halts."""
        self.halts.steer(steer)
        self.dirty = True

    # --- in the order of the reason codes ---

    def _denial(self, order: Order, seen: Situation, now: int) -> Denial | None:
        size, price = _number(order.size), None if order.price is None else _number(order.price)
        if not size or price == 0 or (price is None) != (order.type == "MARKET"):
            shown = f"{order.type} {order.size[:80]} at {order.price and order.price[:80]}"
            wanted = "canonical numbers above 0, and a price unless it is a MARKET order"
            return Denial("MALFORMED", shown, wanted, f"{shown}: must have {wanted}")
        if order.post_only and (order.type == "MARKET" or order.tif != "GTC"):
            shown, wanted = f"post_only {order.type} {order.tif}", "LIMIT GTC where it is post_only"
            return Denial("MALFORMED", shown, wanted, f"{shown}: must be {wanted}")
        if order.cause.kind == "agent" and not AGENT_NAME.fullmatch(order.strategy):
            shown, wanted = repr(order.strategy[:80]), "1 to 64 letters, digits, dots, - or _"
            return Denial("MALFORMED", shown, wanted, f"strategy {shown}: a plain agent's name has {wanted}")
        account = seen.accounts.get((order.exchange, order.symbol))
        if account is None:
            place, wanted = f"{order.exchange} {order.symbol}", "books of this partition"
            return Denial("UNKNOWN_BOOK", place, wanted, f"{place} is none of the {wanted}")
        if order.order_id in seen.known:
            reason = f"order id {order.order_id} was there before: one is used once"
            return Denial("DUPLICATE_ID", order.order_id, "once", reason)
        halt = self.halts.on(order.strategy, order.symbol)
        if halt is not None and halt[1].action == "halt":
            scope, word = halt
            reason = f"{scope} is halted (by {word.origin}): resume it first"
            return Denial("HALTED", scope, "resume", reason)
        bounds = self._bounds_of(order)
        age, oldest = now - order.event_time, bounds.max_signal_age_ms
        if oldest is not None and age > oldest * 1_000_000:
            return above("STALE_SIGNAL", "age in ms", _milliseconds(age), "max_signal_age_ms", oldest)
        book = account.book
        if book.state != "live":
            return Denial(
                "BOOK_NOT_LIVE", book.state, "live", f"the book is {book.state}, not live: {book.reason}"
            )
        terms = self._terms_of(account)
        if isinstance(terms, Denial):
            return terms
        mid, exposure = _mid(account), Exposure.of(account)
        case = Case(
            order=order,
            size=size,
            price=_edge(order, account, bounds, mid) if price is None else price,
            mid=mid,
            account=account,
            terms=terms,
            bounds=bounds,
            halt=halt,
            exposure=exposure,
            after=exposure.with_order(order.side, size),
            seen=seen,
            gross_share=self.gross_share,
            terms_of=self._terms_of,
        )
        for check in CHECKS:
            denial = check(case)
            if denial is not None:
                return denial
        return self._order_rate(order, bounds, now)

    def _order_rate(self, order: Order, bounds: Bounds, now: int) -> Denial | None:
        times = self._passed.get((order.strategy, order.symbol), deque())
        while times and times[0] <= now - SECOND:
            times.popleft()
        limit, count = bounds.max_orders_per_second, len(times) + 1
        if limit is None or count <= limit:
            return None
        return above("ORDER_RATE", "number of orders in one second", count, "max_orders_per_second", limit)

    def _bounds_of(self, order: Order) -> Bounds:
        key = order.exchange, order.symbol, order.strategy
        bounds = self._bounds.get(key)
        if bounds is None:
            bounds = self._bounds[key] = self.limits.of(*key)
        return bounds

    def _terms_of(self, account: Account) -> Terms | Denial:
        place, instrument = (account.book.exchange, account.book.symbol), account.instrument
        known = self._terms.get(place)
        if known is None or known[0] is not instrument:
            known = self._terms[place] = instrument, self._terms_by(*place, instrument)
        return known[1]

    def _terms_by(self, exchange: str, symbol: str, instrument: Instrument | None) -> Terms | Denial:
        instrument = instrument or assumed_instrument(exchange, symbol)
        unknown = ""
        if instrument is None:
            unknown = "the kind of contract"
        elif instrument.contract != "spot" and instrument.contract_value is None:
            unknown = "the value of a contract"
        if instrument is None or unknown:
            reason = f"{exchange} {symbol}: {unknown} must be known first; the exchange's list of instruments brings it"
            return Denial("UNKNOWN_INSTRUMENT", unknown, "known", reason)
        rate = self.limits.rates.get(instrument.quote)
        if rate is None:
            rates = ", ".join(sorted(self.limits.rates))
            reason = (
                f"{exchange} {symbol}: [rates] of risk.toml has {rates} but no {instrument.quote}: add it"
            )
            return Denial("UNKNOWN_RATE", instrument.quote, rates, reason)
        return Terms.of(instrument, rate)

    # --- checkpoint ---

    def encode(self) -> bytes:
        """Halts, and the last second's order times."""
        rows = [(*key, list(times)) for key, times in sorted(self._passed.items()) if times]
        return msgspec.json.encode((self.halts.encode(), rows))

    def restore(self, value: bytes) -> None:
        """Continue from what encode() gave.  Raises msgspec.DecodeError for other bytes."""
        halts, rows = msgspec.json.decode(value, type=tuple[msgspec.Raw, list[tuple[str, str, list[int]]]])
        self.halts = Halts.decode(msgspec.json.decode(halts))
        self._passed = {(strategy, symbol): deque(times) for strategy, symbol, times in rows}


def _number(written: str) -> Decimal:
    """0 for what isn't the canonical spelling of a number."""
    try:
        return Decimal(written if canonical_decimal(written) == written else 0)
    except NormalizeError:
        return Decimal(0)


def _mid(account: Account) -> Decimal:
    """Of a live book, which has both sides."""
    mid = account.mid
    assert mid is not None, account.book.symbol
    return mid


def _edge(order: Order, account: Account, bounds: Bounds, mid: Decimal) -> Decimal:
    """The worst price within the collar: a multiple of the tick, or with as many decimals as the touch has."""
    width = mid * bounds.price_collar_pct * Decimal("0.01")
    edge = mid + width if order.side == "buy" else mid - width
    if account.instrument is not None and account.instrument.tick is not None:
        step = Decimal(account.instrument.tick)
    else:
        touch = account.book.book.best_bid, account.book.book.best_ask
        step = _ONE.scaleb(-max(len(level[0].partition(".")[2]) for level in touch if level is not None))
    beyond = edge % step
    if not beyond:
        return edge
    return edge - beyond if order.side == "buy" else edge - beyond + step


def _milliseconds(age: int) -> Decimal:
    return Decimal(age) * Decimal("0.000001")
