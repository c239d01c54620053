"""The paper exchange over random histories: a restart anywhere changes nothing, and nothing comes out of thin air."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tables.positions import Position
from tradeflow.execution import Fees, PaperExchange
from tradeflow.messages import Cause, Delta, Down, Execution, Order, Snapshot, Trade

D = Decimal
START = 1_700_000_000_000_000_000
PLACES = [("binance", "BTC-USDT"), ("bitmex", "BTC-USD-PERP")]
XBTUSD = Instrument(
    exchange="bitmex", symbol="BTC-USD-PERP", base="BTC", quote="USD", contract="inverse", contract_value="1"
)
SIZES = ["0", "1", "2.5", "0.75", "9"]
FINAL = {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}

which = st.integers(0, 1)
prices = st.integers(95, 106)
sizes = st.sampled_from(SIZES)
steps = st.one_of(
    st.tuples(st.just("delta"), which, prices, sizes),
    st.tuples(st.just("delta"), which, prices, sizes),
    st.tuples(st.just("trade"), which, prices, sizes.filter(lambda size: size != "0")),
    st.tuples(st.just("limit"), which, prices, st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK", "post"])),
    st.tuples(st.just("limit"), which, prices, st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK", "post"])),
    st.tuples(st.just("market"), which, prices, st.just("")),
    st.tuples(st.just("cancel"), which, st.integers(0, 30), st.just("")),
    st.tuples(st.just("snapshot"), which, st.integers(-2, 2), st.just("")),
    st.tuples(st.just("down"), which, st.just(0), st.just("")),
    st.tuples(st.just("time"), which, st.sampled_from([5, 60, 250]), st.just("")),
)
plans = st.lists(steps, min_size=10, max_size=70)


class World:
    """Two books and their exchange; `restart()` replaces all of it by what it wrote of itself."""

    def __init__(self) -> None:
        self.now, self.trades = START, 0
        self.orders: list[Order] = []
        self.said: list[Execution] = []
        self._stand([OrderBook(*place) for place in PLACES])
        for number in (0, 1):
            self.play("snapshot", number, 0, "")

    def _stand(self, books: list[OrderBook]) -> None:
        self.books = books
        found = dict(zip(PLACES, books, strict=True))
        self.venue = PaperExchange(found, fees=Fees(), instruments={PLACES[1]: XBTUSD})

    def restart(self) -> None:
        value = self.venue.encode()
        self._stand([OrderBook.decode(book.encode()) for book in self.books])
        self.venue.restore(value)
        assert self.venue.encode() == value

    def play(self, name: str, number: int, value: int, more: str) -> None:
        self.now += 10_000_000
        if self.now >= self.venue.due:
            self.venue.advance(self.now)
        place, book = PLACES[number], self.books[number]
        fields: dict[str, Any] = {"exchange": place[0], "symbol": place[1], "receipt_time": self.now}
        here = fields | {"epoch": book.epoch, "sequence": book.sequence}
        if name == "time":
            self.now += value * 1_000_000
        elif name == "snapshot":
            bids = [(str(100 - n + value), str(n + 1)) for n in range(4)]
            asks = [(str(102 + n + value), str(n + 1)) for n in range(4)]
            event = Snapshot(**fields, epoch=book.epoch + 1, sequence=0, bids=bids, asks=asks)
            book.snapshot(event, self.now)
            self.venue.book(event, book, self.now)
        elif name == "delta":
            change = [(str(value), more)]
            bids, asks = (change, []) if value < 101 else ([], change)
            event = Delta(**here | {"sequence": book.sequence + 1}, bids=bids, asks=asks)
            book.delta(event, self.now)
            self.venue.book(event, book, self.now)
        elif name == "down":
            book.down(Down(**here, reason="lost"), "lost", self.now)
            self.venue.book(Down(**here, reason="lost"), book, self.now)
        elif name == "trade":
            self.trades += 1
            side = "sell" if value < 101 else "buy"
            trade = Trade(**here | {"sequence": self.trades}, side=side, price=str(value), size=more)
            self.venue.trade(trade, self.now)
        elif name == "cancel":
            if value < len(self.orders):
                self.venue.cancel(self.orders[value].order_id, self.now)
        else:
            self._submit(place, name, value, more)
        self.said += self.venue.take()

    def _submit(self, place: tuple[str, str], name: str, value: int, more: str) -> None:
        order = Order(
            order_id=f"o{len(self.orders)}",
            strategy="test",
            params_hash="-",
            exchange=place[0],
            symbol=place[1],
            side="buy" if (value + len(self.orders)) % 2 else "sell",
            type="MARKET" if name == "market" else "LIMIT",
            tif=more if more in ("IOC", "FOK") else "GTC",
            post_only=more == "post",
            price=None if name == "market" else str(value),
            size="40" if name == "market" and value % 3 == 0 else SIZES[1 + value % 4],
            event_time=self.now,
            cause=Cause(kind="timer"),
        )
        self.orders.append(order)
        self.venue.submit(order, self.now)


def played(plan: list[tuple[str, int, int, str]]) -> World:
    one = World()
    for step in plan:
        one.play(*step)
    for _ in range(12):
        one.play("time", 0, 10, "")
    return one


@settings(max_examples=150, deadline=None)
@given(plans, st.sets(st.integers(0, 69), max_size=5))
def test_a_restart_anywhere_changes_nothing(plan, cuts):
    unbroken, one = World(), World()
    for number, step in enumerate(plan):
        unbroken.play(*step)
        one.play(*step)
        if number in cuts:
            one.restart()
        assert one.said == unbroken.said
        assert one.venue.due == unbroken.venue.due
    assert one.venue.encode() == unbroken.venue.encode()


@settings(max_examples=60, deadline=None)
@given(plans)
def test_what_changed_is_dirty(plan):
    """A checkpoint is written for what says that it is dirty."""
    one = World()
    for step in plan:
        one.venue.dirty, before = False, one.venue.encode()
        one.play(*step)
        assert one.venue.dirty or one.venue.encode() == before


@settings(max_examples=200, deadline=None)
@given(plans)
def test_reports_of_an_order_are_a_legal_story_that_adds_up(plan):
    one = played(plan)
    orders = {order.order_id: order for order in one.orders}
    told: dict[str, list[Execution]] = defaultdict(list)
    assert [said.receipt_time for said in one.said] == sorted(said.receipt_time for said in one.said)
    for said in one.said:
        told[said.order_id].append(said)
    assert told.keys() == orders.keys()  # each is answered
    for order_id, story in told.items():
        order, filled, paid = orders[order_id], D(0), D(0)
        assert [said.number for said in story] == list(range(len(story)))
        assert story[0].status in ("ACCEPTED", "REJECTED")
        assert all(said.status not in FINAL for said in story[:-1])
        for said in story:
            assert said.receipt_time == said.exchange_time + 50_000_000 >= order.event_time + 100_000_000
            if said.last_price is not None:
                size, price = D(said.last_size), D(said.last_price)
                assert size > 0
                filled, paid = filled + size, paid + size * price
                if order.price is not None:
                    assert (price <= D(order.price)) if order.side == "buy" else (price >= D(order.price))
                if said.liquidity == "maker":
                    assert said.last_price == order.price and order.tif == "GTC"
            assert D(said.filled_size) == filled and D(said.leaves_size) == D(order.size) - filled
            assert (said.status == "FILLED") == (filled == D(order.size))
        if filled and order.exchange == "binance":
            assert abs(D(story[-1].average_price) - paid / filled) < D("1e-9")
        if order.tif == "FOK":
            assert filled in (0, D(order.size))
        if order.tif != "GTC" or order.type == "MARKET":
            assert story[-1].status in FINAL
        if order.post_only:
            assert all(said.liquidity != "taker" for said in story)


@settings(max_examples=150, deadline=None)
@given(plans)
def test_fills_are_no_more_than_the_market_showed(plan):
    """All that we got of a side is at most what the feed ever added there, and traded."""
    one = World()
    shown: Counter[tuple[str, str]] = Counter()
    for step in [("snapshot", 0, 0, ""), ("snapshot", 1, 0, ""), *plan]:
        name, number, value, more = step
        one.play(*step)
        place = PLACES[number][0]
        if name == "snapshot":
            for side in ("buy", "sell"):
                shown[place, side] += 10
        elif name == "delta":
            shown[place, "sell" if value < 101 else "buy"] += D(more)
        elif name == "trade":
            shown[place, "buy" if value < 101 else "sell"] += D(more)
    for number in (0, 1):  # those of World itself
        for side in ("buy", "sell"):
            shown[PLACES[number][0], side] += 10
    got: Counter[tuple[str, str]] = Counter()
    for said in [*one.said, *one.venue._reports]:
        if said.last_size:
            got[said.exchange, said.side] += D(said.last_size)
    assert all(got[key] <= shown[key] for key in got)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_positions_made_of_the_reports_balance(plan):
    one = played(plan)
    position = Position(base_currency="BTC", quote_currency="USDT")
    flow = D(0)
    for said in one.said:
        if said.last_price and said.exchange == "binance":
            price, size = D(said.last_price), D(said.last_size)
            position.fill(said.side, price, size, D(said.fee), said.fee_currency)
            flow += price * size * (-1 if said.side == "buy" else 1)
    assert position.realized + position.unrealized(D(101)) == flow + position.size * 101
    paid = position.fees.get("USDT", D(0)), position.fees.get("BTC", D(0))
    assert (position.quote, position.base) == (flow - paid[0], position.size - paid[1])


def test_the_histories_reach_what_they_are_for():
    """Else the properties above hold for want of anything that could break them."""
    plan: list[tuple[str, int, int, str]] = []
    for value in range(120):
        plan += [
            ("delta", value % 2, 95 + value * 5 % 12, SIZES[value % 5]),
            ("time", 0, [5, 60, 250][value % 3], ""),
        ]
        plan += [
            ("limit", value % 2, 97 + value * 7 % 9, ["GTC", "GTC", "IOC", "FOK", "post", "GTC"][value % 6])
        ]
        plan += [("trade", value % 2, 95 + value * 3 % 12, "2.5")] if value % 2 else []
        plan += [("market", value % 2, value, "")] if value % 11 == 0 else []
        plan += [("cancel", 0, value // 2, "")] if value % 4 == 0 else []
        plan += [("down", value % 2, 0, "")] if value % 23 == 0 else []
        plan += [("snapshot", value % 2, value % 3 - 1, "")] if value % 9 == 0 else []
    one = played(plan)
    statuses, codes = Counter(said.status for said in one.said), {said.reason_code for said in one.said}
    assert statuses.keys() >= {*FINAL, "ACCEPTED", "PARTIALLY_FILLED"}
    assert codes >= {"BOOK_NOT_LIVE", "SELF_TRADE", "POST_ONLY", "IOC", "FOK", "NO_LIQUIDITY", "REQUESTED"}, (
        codes
    )
    assert {said.liquidity for said in one.said} == {"maker", "taker", None}
