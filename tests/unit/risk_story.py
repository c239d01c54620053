"""Random histories of orders, fills, cancels, prices, books and halts, and a plain model of the risk gate.

The model knows nothing of the gate's sums: it goes through every way in which open orders may fill (not at all, by
half, wholly), in integers: prices and sizes in twentieths, money in 1/400,000, bases in 1/20,000, fees in 1/1,000."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import get_args

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tradeflow.messages import Cause, Order, Steer
from tradeflow.risk import Account, Denial, ReasonCode, RiskGate, Situation, parse_limits

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
ORDERS_A_STORY = 50

CODES = get_args(ReasonCode)
"""Their order is part of the contract; test_risk_gate.py spells it out."""
RANKS = {code: rank for rank, code in enumerate(CODES)}
# Another book with a position, whose worth isn't known, shows when all are summed up.
RANKS |= dict.fromkeys(("UNKNOWN_INSTRUMENT elsewhere", "UNKNOWN_RATE elsewhere"), RANKS["GROSS_NOTIONAL"])

RATES = {"USD": Fraction(1), "USDT": Fraction(1), "USDC": Fraction(1), "BTC": Fraction(30)}

# exchange, symbol, contract, value of a contract, quote, tick and lot and least notional, if there is an instrument
BOOKS = (
    ("binance", "BTC-USDT", "spot", None, "USDT", ("0.5", "0.1", "20")),
    ("binance", "ETH-BTC", "spot", None, "BTC", None),
    ("kraken", "BTC-USDT", "spot", None, "USDT", (None, "0.1", None)),
    ("kraken", "SOL-GBP", "spot", None, "GBP", None),
    ("bitmex", "BTC-USD-PERP", "inverse", "5", "USD", ("0.5", "0.1", None)),
    ("okx", "BTC-USDT-PERP", "linear", "0.5", "USDT", ("0.5", "0.1", "5")),
    ("okx", "SOL-USDT-PERP", "linear", None, "USDT", (None, None, None)),
    ("okx", "ETH-USDT-PERP", "linear", "2", "USDT", None),
)
UNVALUED = (BOOKS[3], BOOKS[6], BOOKS[7])


def text(value: int, unit: int) -> str:
    number = format(Decimal(value) / unit, "f")
    return number.rstrip("0").rstrip(".") if "." in number else number


@dataclass
class Open:
    """An order that passed; prices and leaves in twentieths.  Also what the gate sees of it."""

    order_id: str
    strategy: str
    side: str
    tif: str
    units: int
    left: int
    type: str = "LIMIT"

    @property
    def order(self) -> Open:
        return self

    @property
    def price(self) -> str:
        return text(self.units, 20)

    @property
    def leaves(self) -> str:
        return text(self.left, 20)


@dataclass
class Place:
    """A book as the model holds it."""

    exchange: str
    symbol: str
    contract: str
    value: str | None
    quote_currency: str
    steps: tuple[str | None, str | None, str | None] | None
    size: int
    base: int
    quote: int
    bid: int = 1990
    ask: int = 2010
    state: str = "live"
    orders: list[Open] = field(default_factory=list)
    average: int | None = None

    def __post_init__(self) -> None:
        self.start = self.size
        self.book = OrderBook(self.exchange, self.symbol)
        self.position = SimpleNamespace()
        instrument = None
        if self.steps is not None:
            tick, lot, least = self.steps
            instrument = Instrument(
                exchange=self.exchange,
                symbol=self.symbol,
                base=self.symbol.split("-")[0],
                quote=self.quote_currency,
                contract=self.contract,
                contract_value=self.value,
                tick=tick,
                lot=lot,
                min_notional=least,
            )
        self.account = Account(self.book, self.position, self.orders, instrument)
        self.show()

    def show(self) -> None:
        """The gate's view of this."""
        self.book.book.replace([(text(self.bid, 20), "1")], [(text(self.ask, 20), "1")])
        if self.state == "broken":
            self.book.book.replace([], [])
        self.book.state = self.state
        self.position.size = Decimal(self.size) / 20
        self.position.base = Decimal(self.base) / 20_000
        self.position.quote = Decimal(self.quote) / 400_000
        self.position.average_price = None if self.average is None else Decimal(self.average) / 20

    @property
    def mid(self) -> Fraction:
        return Fraction(self.bid + self.ask, 40)

    def worth(self, size: Fraction, price: Fraction) -> Fraction:
        """In quote currency."""
        if self.contract == "inverse":
            return size * Fraction(self.value)
        return size * price * Fraction(self.value or 1)

    def sizes(self, more: tuple[tuple[str, int], ...] = ()) -> set[int]:
        """All that the position may become, doubled, after `more` (side, size) has filled wholly."""
        reached = {2 * self.size}
        for order in self.orders:
            sign = 1 if order.side == "buy" else -1
            reached = {size + sign * part * order.left for size in reached for part in (0, 1, 2)}
        for side, size in more:
            reached = {one + (2 * size if side == "buy" else -2 * size) for one in reached}
        return reached

    def worst(self, more: tuple[tuple[str, int], ...] = ()) -> Fraction:
        either = self.sizes() | self.sizes(more)
        return Fraction(max(map(abs, either)), 40)

    def mark(self) -> Fraction:
        if self.state != "broken":
            return self.mid
        prices = [order.units for order in self.orders] + [self.average or 0]
        return Fraction(max(prices), 20)


class Story:
    """`play()` tells it; anything that gate and model don't agree on is an AssertionError."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.codes = Counter[str]()
        self.now = 1_000 * SECOND
        self.halts: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        self.passed: dict[tuple[str, str], list[int]] = {}
        pick = self.random.choice
        self.places = {
            row[:2]: Place(*row, size=pick((0, 0, 0, 0, 20, -20, 300)), base=pick((0, 40, 400, 400)) * 1000,
                           quote=pick((0, 1_000, 9_000, 9_000)) * 400_000, average=pick((None, 2_000)))
            for row in BOOKS if row is BOOKS[0] or self.random.random() < (0.1 if row in UNVALUED else 0.7)
        }  # fmt: skip
        self.rules = self._rules()
        share = pick((None, 1_500, 15_000))
        self.gross_share = share
        limits = parse_limits(self._toml())
        self.gate = RiskGate(limits, None if share is None else Decimal(share))
        self.seen = Situation({key: place.account for key, place in self.places.items()}, self.used)

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

    def rule(self, name: str, place: Place, strategy: str) -> Fraction | None:
        value = None
        for section in ("default", f"exchange.{place.exchange}", f"symbol.{place.symbol}"):
            value = self.rules.get(section, {}).get(name, value)
        own = self.rules.get(f"strategy.{strategy}", {}).get(name, "none")
        found = [Fraction(one) for one in (value, own) if one != "none"]
        return min(found) if found else None

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

    # --- the model ---

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
