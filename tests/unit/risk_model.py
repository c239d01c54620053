"""A plain model of the risk gate.

It knows nothing of the gate's sums: it goes through every way in which open orders may fill (not at all, by half,
wholly), in the integers of risk_places.py."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from risk_places import Open, Place

from tradeflow.messages import Order

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND

RATES = {"USD": Fraction(1), "USDT": Fraction(1), "USDC": Fraction(1), "BTC": Fraction(30)}


class Model:
    """`violated(order)` is everything that is wrong with an order, as of what has been noted here."""

    def __init__(
        self,
        places: dict[tuple[str, str], Place],
        rules: dict[str, dict[str, object]],
        gross_share: int | None,
    ) -> None:
        self.places = places
        self.rules = rules
        self.gross_share = gross_share
        self.now = 1_000 * SECOND
        self.halts: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        self.passed: dict[tuple[str, str], list[int]] = {}

    def rule(self, name: str, place: Place, strategy: str) -> Fraction | None:
        value = None
        for section in ("default", f"exchange.{place.exchange}", f"symbol.{place.symbol}"):
            value = self.rules.get(section, {}).get(name, value)
        own = self.rules.get(f"strategy.{strategy}", {}).get(name, "none")
        found = [Fraction(one) for one in (value, own) if one != "none"]
        return min(found) if found else None

    def violated(self, order: Order) -> dict[str, tuple[Fraction, Fraction] | None]:
        """Code → (value, limit) where they are numbers, of everything that is wrong with an order."""
        if order.command == "CANCEL":
            return {}
        number = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?").fullmatch
        for written in (order.size, order.price):
            if written is not None and (not number(written) or written == "0"):
                return {"MALFORMED": None}
        if (order.price is None) != (order.type == "MARKET"):
            return {"MALFORMED": None}
        place = self.places.get((order.exchange, order.symbol))
        if place is None:
            return {"UNKNOWN_BOOK": None}
        found: dict[str, tuple[Fraction, Fraction] | None] = {}
        words = {
            action
            for (strategy, symbol), action in self.halts.items()
            if strategy in ("", order.strategy) and symbol in ("", order.symbol)
        }
        if order.order_id in self.used:
            found["DUPLICATE_ID"] = None
        if "halt" in words:
            found["HALTED"] = None
        age, oldest = Fraction(self.now - order.event_time, MILLISECOND), self.of("max_signal_age_ms", order)
        if oldest is not None and age > oldest:
            found["STALE_SIGNAL"] = age, oldest
        if place.state != "live":
            found["BOOK_NOT_LIVE"] = None
        wrong = self._unvalued(place)
        if wrong or found:
            return found | ({wrong: None} if wrong else {})
        return self._numbers(order, place, "reduce-only" in words)

    def of(self, name: str, order: Order) -> Fraction | None:
        return self.rule(name, self.places[order.exchange, order.symbol], order.strategy)

    def _unvalued(self, place: Place) -> str | None:
        if place.contract != "spot" and (place.steps is None or place.value is None):
            return "UNKNOWN_INSTRUMENT"
        return None if place.quote_currency in RATES else "UNKNOWN_RATE"

    def _price(self, order: Order, place: Place) -> int:
        """In twentieths; of a MARKET order the last price within the collar."""
        if order.price is not None:
            return int(Fraction(order.price) * 20)
        allowed = place.mid * self.of("price_collar_pct", order) / 100
        step = 2 if (place.bid % 20 or place.ask % 20) else 20
        if place.steps is not None and place.steps[0] is not None:
            step = 10
        if order.side == "buy":
            return step * math.floor((place.mid + allowed) * 20 / step)
        return step * math.ceil((place.mid - allowed) * 20 / step)

    def _numbers(
        self, order: Order, place: Place, reducing: bool
    ) -> dict[str, tuple[Fraction, Fraction] | None]:
        found: dict[str, tuple[Fraction, Fraction] | None] = {}

        def at_most(code: str, value: Fraction, limit: Fraction | None) -> None:
            if limit is not None and value > limit and code not in found:
                found[code] = value, limit

        units, left = self._price(order, place), int(Fraction(order.size) * 20)
        price, size, mid = Fraction(units, 20), Fraction(order.size), place.mid
        rate = RATES[place.quote_currency]
        tick, lot, least = place.steps or (None, None, None)
        if tick is not None and order.price is not None and units % 10:
            found["TICK"] = price, Fraction(tick)
        if lot is not None and left % 2:
            found["LOT"] = size, Fraction(lot)
        at_most("PRICE_COLLAR", abs(price - mid) / mid * 100, self.of("price_collar_pct", order))
        value = place.worth(size, mid if order.price is None else price)
        if least is not None and value < Fraction(least):
            found["MIN_NOTIONAL"] = value, Fraction(least)
        at_most("ORDER_SIZE", size, self.of("max_order_size", order))
        at_most("NOTIONAL", place.worth(size, max(price, mid)) * rate, self.of("max_order_notional", order))
        # Everything that the position may be when this order has filled, whatever else did.
        sign = 1 if order.side == "buy" else -1
        ends = place.sizes(((order.side, left),))
        farthest = Fraction(max(sign * end for end in ends), 40)
        if reducing and farthest > 0:
            found["REDUCE_ONLY"] = sign * farthest, Fraction(0)
        rests = order.tif == "GTC" and order.type == "LIMIT"
        for other in place.orders:
            meets = sign * units >= sign * other.units and other.side != order.side
            if meets and (rests or other.tif == "GTC"):
                found.setdefault("SELF_TRADE", (price, Fraction(other.units, 20)))
        at_most("OPEN_ORDERS", Fraction(len(place.orders) + 1), self.of("max_open_orders", order))
        at_most("POSITION", farthest, self.of("max_position", order))
        at_most("POSITION", place.worth(farthest, mid) * rate, self.of("max_position_notional", order))
        if place.contract == "spot":
            found |= self._overdraft(order, place, units, left)
        found |= self._gross(order, place, left)
        times = [
            time for time in self.passed.get((order.strategy, order.symbol), ()) if time > self.now - SECOND
        ]
        at_most("ORDER_RATE", Fraction(len(times) + 1), self.of("max_orders_per_second", order))
        return found

    def _overdraft(
        self, order: Order, place: Place, units: int, left: int
    ) -> dict[str, tuple[Fraction, Fraction] | None]:
        """The lowest that the balance may fall to when this order fills, over all fills of the others."""
        factor = 1000 + int(10 * self.of("fee_reserve_pct", order))
        lowest = {0}
        for one in (*place.orders, Open("", "", order.side, "", units, left)):
            if one.side == order.side == "buy":
                lowest = {
                    spent + part * one.units * one.left * factor // 2
                    for spent in lowest
                    for part in (0, 1, 2)
                }
            elif one.side == order.side:
                lowest = {spent + part * one.left * 500 for spent in lowest for part in (0, 1, 2)}
        has, unit = (place.quote, 400_000) if order.side == "buy" else (place.base, 20_000)
        if max(lowest) > has:
            return {"BALANCE": (Fraction(max(lowest), unit), Fraction(has, unit))}
        return {}

    def _gross(self, order: Order, place: Place, left: int) -> dict[str, tuple[Fraction, Fraction] | None]:
        if self.gross_share is None:
            return {}
        before, after = place.worst(), place.worst(((order.side, left),))
        if after <= before:
            return {}
        total = Fraction(0)
        for other in self.places.values():
            if other is not place and not other.size and not other.orders:
                continue
            wrong = self._unvalued(other)
            if wrong:
                return {f"{wrong} elsewhere": None}
            worst, mark = (after, place.mid) if other is place else (other.worst(), other.mark())
            total += other.worth(worst, mark) * RATES[other.quote_currency]
        return {"GROSS_NOTIONAL": (total, Fraction(self.gross_share))} if total > self.gross_share else {}
