"""How far a backtest's fills are from those of the paper run that was recorded, order by order; pure."""

from __future__ import annotations

import statistics
from decimal import Decimal
from typing import NamedTuple

import msgspec

from tables.exact import EXACT
from tradeflow.messages import Execution, Order
from tradeflow.recording.form import Record


class Filled(NamedTuple):
    """What an order got."""

    side: str
    size: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    """Sum of price × size."""


class Fills:
    """The orders of one run, and what each got; what comes twice counts once."""

    def __init__(self) -> None:
        self.by_order: dict[str, Filled] = {}
        self._seen: set[str] = set()

    def order(self, order: Order) -> None:
        """A plain agent's isn't counted: no backtest has it."""
        if order.command == "NEW" and order.cause.kind != "agent" and not order.shadow:
            self.by_order.setdefault(order.order_id, Filled(order.side))

    def execution(self, said: Execution) -> None:
        known = self.by_order.get(said.order_id)
        if known is None or said.last_size is None or said.execution_id in self._seen:
            return
        self._seen.add(said.execution_id)
        size, price = Decimal(said.last_size), Decimal(said.last_price or 0)
        paid = EXACT.add(known.paid, EXACT.multiply(price, size))
        self.by_order[said.order_id] = Filled(known.side, EXACT.add(known.size, size), paid)


class Recorded:
    """The fills of a recording, and how long its orders took to the gate."""

    def __init__(self) -> None:
        self.fills = Fills()
        self.delays: list[float] = []
        """Milliseconds of event time from an order to its verdict."""
        self._sent: dict[str, int] = {}
        self._decode_order = msgspec.json.Decoder(Order).decode
        self._decode_execution = msgspec.json.Decoder(Execution).decode
        self._early: dict[str, list[Execution]] = {}

    def apply(self, record: Record) -> None:
        """Topics may come in any order."""
        if record.topic == "orders":
            order = self._decode_order(record.value or b"")
            self.fills.order(order)
            self._sent.setdefault(order.order_id, order.event_time)
            for said in self._early.pop(order.order_id, ()):
                self._execution(said)
        elif record.topic == "executions":
            said = self._decode_execution(record.value or b"")
            if said.order_id in self._sent:
                self._execution(said)
            else:
                self._early.setdefault(said.order_id, []).append(said)

    def _execution(self, said: Execution) -> None:
        self.fills.execution(said)
        if said.number < 0 and said.order_id in self.fills.by_order:
            self.delays.append((said.receipt_time - self._sent[said.order_id]) / 1e6)


class Beside(NamedTuple):
    """What was recorded, and what the backtest made of the same market."""

    live: Recorded
    tested: Fills

    @classmethod
    def nothing(cls) -> Beside:
        """To begin with."""
        return cls(Recorded(), Fills())

    def lines(self) -> list[str]:
        """In words."""
        return [str(difference(self.live.fills, self.tested)), *delays(self.live.delays)]


class Difference(NamedTuple):
    """Of two runs on the same market, by orders."""

    live: int
    tested: int
    both: int
    """Sent by both, under the same id."""
    same: int
    """Of those: the same size at the same average price, or nothing in both."""
    other_price: int
    """The same size."""
    other_size: int
    better: Decimal
    """Of other_price: by how much the backtest's prices are better, in basis points, weighted by what was paid."""
    filled_live: int
    """Orders that got something."""
    filled_tested: int

    def __str__(self) -> str:
        return (
            f"orders: live {self.live:,}, here {self.tested:,}; filled: live {self.filled_live:,}, here "
            f"{self.filled_tested:,}; of {self.both:,} sent by both {self.same:,} got the same, "
            f"{self.other_price:,} another price (here better by {self.better:.2f} basis points on average), "
            f"{self.other_size:,} another size"
        )


def difference(live: Fills, tested: Fills) -> Difference:
    both = live.by_order.keys() & tested.by_order.keys()
    pairs = [(live.by_order[order], tested.by_order[order]) for order in both]
    priced = [(a, b) for a, b in pairs if a.size == b.size and a.paid != b.paid]
    gained = sum(((a.paid - b.paid) * (1 if a.side == "buy" else -1) for a, b in priced), Decimal(0))
    paid = sum((a.paid for a, _ in priced), Decimal(0))
    return Difference(
        live=len(live.by_order),
        tested=len(tested.by_order),
        both=len(both),
        same=sum(a == b for a, b in pairs),
        other_price=len(priced),
        other_size=sum(a.size != b.size for a, b in pairs),
        better=gained / paid * 10_000 if paid else Decimal(0),
        filled_live=sum(bool(one.size) for one in live.by_order.values()),
        filled_tested=sum(bool(one.size) for one in tested.by_order.values()),
    )


def delays(milliseconds: list[float]) -> list[str]:
    """Of live orders to the gate, in words."""
    if len(milliseconds) < 2:
        return []
    ranks = statistics.quantiles(milliseconds, n=20)
    return [
        f"live orders reached the gate after {ranks[9]:.1f} ms (median), {ranks[18]:.1f} ms (p95) of event time"
    ]
