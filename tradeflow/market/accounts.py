"""`Accounts`: the purse of each book of a partition: balances, position, and the open orders that may change them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from tables.exact import text
from tables.instruments import Instrument
from tables.order_books import OrderBook
from tables.positions import Position
from tradeflow import messages
from tradeflow.execution.admission import assumed_instrument
from tradeflow.market.orders import TrackedOrder
from tradeflow.messages import Execution, PositionRecord
from tradeflow.risk.situation import Account

Place = tuple[str, str]
"""(exchange, symbol)."""

Balances = Mapping[Place, Mapping[str, Decimal]]
"""Book → currency → what its purse holds at the beginning."""


class Working:
    """An order that has passed the gate, with the worst price that it may be filled at."""

    __slots__ = ("_one", "order")

    def __init__(self, one: TrackedOrder) -> None:
        self._one = one
        self.order = one.order if one.bound is None else msgspec.structs.replace(one.order, price=one.bound)

    @property
    def leaves(self) -> str:
        return self._one.leaves


class Accounts:
    """`instruments` are those that are known; a symbol of two currencies is spot until its exchange says more."""

    def __init__(self, books: Mapping[Place, OrderBook], balances: Balances) -> None:
        self._balances = balances
        self.instruments: dict[Place, Instrument] = {}
        self.by_place: dict[Place, Account] = {}
        self._working: dict[Place, dict[str, Working]] = {}
        self._dirty: set[Place] = set()
        for place, book in books.items():
            working = self._working[place] = {}
            nothing = Position(base_currency="", quote_currency="")
            self.by_place[place] = Account(book, nothing, working.values())
            if (assumed := assumed_instrument(*place)) is not None:
                self._list(place, assumed)

    def note_instrument(self, event: messages.Instrument) -> None:
        """What an exchange says of a book.  Of a kind that isn't traded here (quanto), nothing is known."""
        listing, place = event.listing, (event.exchange, event.symbol)
        if listing.kind == "quanto":
            self.by_place[place].instrument = None
            self.instruments.pop(place, None)
            return
        instrument = Instrument(
            exchange=event.exchange,
            symbol=event.symbol,
            base=listing.base,
            quote=listing.quote,
            contract=listing.kind,
            contract_value=listing.multiplier,
            tick=listing.tick,
            lot=listing.lot,
            min_notional=listing.min_notional,
        )
        self._list(place, instrument)

    def _list(self, place: Place, instrument: Instrument) -> None:
        """The purse is made when the kind is first known."""
        self.instruments[place] = self.by_place[place].instrument = instrument
        if not self.position(place).base_currency:
            self.by_place[place].position = open_position(instrument, self._balances.get(place, {}))

    def position(self, place: Place) -> Position:
        position = self.by_place[place].position
        assert isinstance(position, Position)
        return position

    def approved(self, one: TrackedOrder) -> None:
        """It may be filled from now on."""
        self._working[one.order.exchange, one.order.symbol][one.order.order_id] = Working(one)

    def fill(self, execution: Execution) -> None:
        """A fill, once: whoever knows the order sees to that."""
        place = execution.exchange, execution.symbol
        book_fill(self.position(place), execution)
        self._dirty.add(place)

    def closed(self, one: TrackedOrder) -> None:
        self._working[one.order.exchange, one.order.symbol].pop(one.order.order_id, None)

    def record(self, place: Place, now: int) -> PositionRecord:
        account, position = self.by_place[place], self.position(place)
        mid = _mid(account.book)
        return PositionRecord(
            exchange=place[0],
            symbol=place[1],
            size=text(position.size),
            average_price=_shown(position.average_price),
            realized=text(position.realized),
            unrealized=_shown(None if mid is None else position.unrealized(mid)),
            currency=position.currency,
            balances=balances(position),
            fees={currency: text(amount) for currency, amount in sorted(position.fees.items())},
            event_time=now,
        )

    def records(self, now: int) -> Iterator[PositionRecord]:
        """Of every book whose instrument is known."""
        return (self.record(place, now) for place in self.instruments)

    # --- checkpoint ---

    def take_dirty(self) -> dict[str, bytes]:
        found = {f"position/{'/'.join(place)}": self.position(place).encode() for place in self._dirty}
        self._dirty = set()
        return found

    def restore(self, read: Callable[[str], bytes | None], orders: Iterable[TrackedOrder]) -> None:
        """`orders`: those that are open."""
        for place, account in self.by_place.items():
            value = read(f"position/{'/'.join(place)}")
            if value is not None:
                account.position = Position.decode(value)
        for one in orders:
            place = one.order.exchange, one.order.symbol
            if one.status != "INITIALIZED" and place in self.by_place:
                self.approved(one)


def open_position(instrument: Instrument, held: Mapping[str, Decimal]) -> Position:
    """Flat, with these balances: of contracts, the one that settles them."""
    nothing = Decimal(0)
    position = Position(
        contract=instrument.contract,
        contract_value=Decimal(instrument.contract_value or 1),
        base_currency=instrument.base,
        quote_currency=instrument.quote,
    )
    if instrument.contract == "spot":
        position.base = held.get(instrument.base, nothing)
    position.quote = held.get(position.currency, nothing)
    return position


def book_fill(position: Position, execution: Execution) -> None:
    """Put a fill into a position."""
    assert execution.last_price is not None and execution.last_size is not None, execution.execution_id
    position.fill(
        execution.side,
        Decimal(execution.last_price),
        Decimal(execution.last_size),
        Decimal(execution.fee or 0),
        execution.fee_currency or position.currency,
    )


def balances(position: Position) -> dict[str, str]:
    """Currency → balance."""
    if position.contract == "spot":
        return {
            position.base_currency: text(position.base),
            position.quote_currency: text(position.quote),
        }
    return {position.currency: text(position.quote)}


def _mid(book: OrderBook) -> Decimal | None:
    middle = book.book.mid_and_spread() if book.live else None
    return None if middle is None else Decimal(middle[0])


def _shown(number: Decimal | None) -> str | None:
    return None if number is None else text(number)
