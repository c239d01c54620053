"""Random histories of orders, fills, cancels, prices, books and halts, told to the risk gate and to its plain model."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import get_args

from risk_model import MILLISECOND, Model
from risk_places import BOOKS, UNVALUED, Open, Place, text

from tradeflow.messages import Cause, Order, Steer
from tradeflow.risk import Denial, ReasonCode, RiskGate, Situation, parse_limits

ORDERS_A_STORY = 50

CODES = get_args(ReasonCode)
"""Their order is part of the contract; test_risk_gate.py spells it out."""
RANKS = {code: rank for rank, code in enumerate(CODES)}
# Another book with a position, whose worth isn't known, shows when all are summed up.
RANKS |= dict.fromkeys(("UNKNOWN_INSTRUMENT elsewhere", "UNKNOWN_RATE elsewhere"), RANKS["GROSS_NOTIONAL"])


class Story(Model):
    """`play()` tells it; anything that gate and model don't agree on is an AssertionError."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.codes = Counter[str]()
        pick = self.random.choice
        places = {
            row[:2]: Place(*row, size=pick((0, 0, 0, 0, 20, -20, 300)), base=pick((0, 40, 400, 400)) * 1000,
                           quote=pick((0, 1_000, 9_000, 9_000)) * 400_000, average=pick((None, 2_000)))
            for row in BOOKS if row is BOOKS[0] or self.random.random() < (0.1 if row in UNVALUED else 0.7)
        }  # fmt: skip
        super().__init__(places, self._rules(), share := pick((None, 1_500, 15_000)))
        limits = parse_limits(self._toml())
        self.gate = RiskGate(limits, None if share is None else Decimal(share))
        self.seen = Situation({key: place.account for key, place in places.items()}, self.used)

    def _rules(self) -> dict[str, dict[str, object]]:
        pick = self.random.choice
        default = {
            "price_collar_pct": pick((1, "2.5", 10)),
            "max_order_size": pick(("none", 2, 5)),
            "max_order_notional": pick(("none", 400, 5_000)),
            "max_open_orders": pick((3, 5)),
            "max_position": pick(("none", "none", 4, 9)),
            "max_position_notional": pick(("none", "none", 700, 3_000)),
            "max_orders_per_second": pick(("none", 2, 3)),
            "max_signal_age_ms": pick(("none", 20, 500)),
            "fee_reserve_pct": pick((0, 1, "2.5")),
        }
        return {
            "default": default,
            "exchange.okx": {"max_position": 4, "max_order_size": 4},
            "symbol.BTC-USDT": {"max_open_orders": 4, "max_order_size": "none"},
            "strategy.b": {"max_order_size": 3, "price_collar_pct": 2},
        }

    def _toml(self) -> str:
        lines = ["[rates]", "BTC = 30"]
        for section, values in self.rules.items():
            lines.append(f"[{section}]")
            lines += [f'{key} = "{value}"' for key, value in values.items()]
        return "\n".join(lines)

    # --- what happens ---

    def play(self) -> Counter[str]:
        tried = 0
        while tried < ORDERS_A_STORY:
            what = self.random.random()
            place = self.random.choice(list(self.places.values()))
            if what < 0.5:
                tried += 1
                self.order(place)
            elif what < 0.72:
                self.fill(place)
            elif what < 0.78 and place.orders:
                place.orders.pop(self.random.randrange(len(place.orders)))
            elif what < 0.84:
                self.steer()
            elif what < 0.88:
                self.gate.restore(self.gate.encode())
            else:
                self.move(place)
            place.show()
            self.now += self.random.choice((0, 0, 1, 200, 500)) * MILLISECOND
            self.holds(place)
        return self.codes

    def move(self, place: Place) -> None:
        place.bid = max(200, place.bid + 10 * self.random.randint(-6, 6))
        place.ask = place.bid + self.random.choice((10, 20, 60))
        place.state = self.random.choices(("live", "stale", "syncing", "broken"), (40, 1, 1, 1))[0]

    def steer(self) -> None:
        action = self.random.choices(("halt", "reduce-only", "resume"), (1, 3, 12))[0]
        scope = self.random.choice(("", "a", "b")), self.random.choice(("", "BTC-USDT", "BTC-USD-PERP"))
        if action == "resume" and self.halts:
            scope = self.random.choice(sorted(self.halts))
        if action == "resume":
            self.halts.pop(scope, None)
        else:
            self.halts[scope] = action
        self.gate.steer(
            Steer(receipt_time=self.now, offset=0, action=action, strategy=scope[0], symbol=scope[1], by="op")
        )

    def fill(self, place: Place) -> None:
        """Any part of any open order, at its price or better, with any fee that the reserve covers."""
        if not place.orders:
            return
        order = self.random.choice(place.orders)
        size = order.left if self.random.random() < 0.4 else self.random.randint(1, order.left)
        order.left -= size
        if not order.left:
            place.orders.remove(order)
        reserve = int(10 * self.rule("fee_reserve_pct", place, ""))
        fee = self.random.choice((0, reserve))
        better = self.random.choice((0, 0, 10, 40))
        if order.side == "buy":
            price = max(1, order.units - better)
            place.size += size
            if self.random.random() < 0.2:  # some take the fee of what was bought
                place.quote -= price * size * 1000
                place.base += size * (1000 - fee)
            else:
                place.quote -= price * size * (1000 + fee)
                place.base += size * 1000
        else:
            place.size -= size
            place.base -= size * 1000
            place.quote += (order.units + better) * size * (1000 - fee)
        place.average = order.units

    def holds(self, place: Place) -> None:
        """What no history of fills may break, as long as it began within the limits."""
        if place.contract == "spot":
            assert place.base >= 0 and place.quote >= 0, "a balance is below zero"
        limit = self.rule("max_position", place, "")
        if limit is not None:
            assert -max(limit, Fraction(-place.start, 20)) <= Fraction(place.size, 20), "too short"
            assert Fraction(place.size, 20) <= max(limit, Fraction(place.start, 20)), "too long"
        assert len(place.orders) <= self.rule("max_open_orders", place, "")

    # --- orders ---

    def order(self, place: Place) -> None:
        order = self._random_order(place)
        violated = self.violated(order)
        expected = min(violated, key=RANKS.__getitem__, default="passed")
        denial = self.gate.check(order, self.seen, self.now)
        given = "passed" if denial is None else denial.reason_code
        assert given == expected.removesuffix(" elsewhere"), (order, denial, violated)
        self.codes[order.command if order.command == "CANCEL" else expected] += 1
        if denial is not None:
            self.explains(denial, violated[expected])
        elif order.command == "NEW":
            bounded = self.gate.bounded(order, self.seen)
            assert bounded.type == "LIMIT" and (order.price is None or bounded == order)
            self.passed.setdefault((order.strategy, order.symbol), []).append(self.now)
            units, left = (int(Fraction(one) * 20) for one in (bounded.price, bounded.size))
            assert units == self._price(order, place)
            place.orders.append(Open(order.order_id, order.strategy, order.side, bounded.tif, units, left))
        if order.command == "NEW":
            self.used.add(order.order_id)

    def _random_order(self, place: Place) -> Order:
        chance, pick = self.random.random, self.random.choice
        side = pick(("buy", "sell"))
        near = place.ask if side == "buy" else place.bid
        price = text(max(1, near + 10 * pick((-20, -4, -1, -1, 0, 0, 0, 1, 4, 20)) + (chance() < 0.04)), 20)
        size = text(max(1, 2 * pick((1, 2, 3, 5, 5, 10, 10, 20, 40, 100)) + (chance() < 0.04)), 20)
        type_ = "LIMIT"
        if chance() < 0.25:
            type_, price = "MARKET", None
        if chance() < 0.03:
            size = pick(("0", "-1", "1.50", "1E+2", "much", "", "٣"))
        if chance() < 0.02:
            price = "1" if price is None else pick((None, "0", "-5", "1_0"))
        return Order(
            order_id=pick(sorted(self.used)) if self.used and chance() < 0.02 else str(chance()),
            command="CANCEL" if chance() < 0.05 else "NEW",
            strategy=pick(("a", "a", "b")),
            params_hash="",
            exchange="nowhere" if chance() < 0.02 else place.exchange,
            symbol=place.symbol,
            side=side,
            type=type_,
            tif=pick(("GTC", "GTC", "IOC", "FOK")),
            price=price,
            size=size,
            event_time=self.now - pick((0, 0, 0, 0, 0, 0, 0, 0, 20, 20, 500, 501)) * MILLISECOND,
            cause=Cause(kind="timer"),
        )

    def explains(self, denial: Denial, numbers: tuple[Fraction, Fraction] | None) -> None:
        """It says value and limit, and the model comes to the same."""
        assert denial.value in denial.reason and denial.limit in denial.reason, denial
        if numbers is not None:
            value, limit = numbers
            assert Fraction(denial.limit) == limit, (denial, limit)
            if denial.reason_code == "PRICE_COLLAR":  # a percentage, rounded up to 6 digits
                assert 0 <= Fraction(denial.value) - value <= value / 10**5
            else:
                assert Fraction(denial.value) == value, (denial, value)
