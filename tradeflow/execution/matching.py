"""`Desk`: our orders in one exchange's book, matched against what that book and its trades show.

The rules, one by one and with their reasons, are in docs/paper-exchange.md.  The feed's book doesn't know our orders:
what they take is remembered beside it (`taken`), and who stands before them is kept with each of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal

import msgspec

from tables.book import Ladder
from tables.exact import EXACT, text
from tables.order_books import OrderBook
from tradeflow.execution.working import Working
from tradeflow.messages import Execution, Liquidity, Side, Trade

_ZERO = Decimal(0)
_OPPOSITE: dict[Side, Side] = {"buy": "sell", "sell": "buy"}


class Taken(msgspec.Struct):
    """What we have taken from a level that the feed still shows as it was."""

    level: str
    size: Decimal


class DeskRow(msgspec.Struct):
    """A desk in a checkpoint."""

    exchange: str
    symbol: str
    orders: dict[str, Working]
    taken: dict[Side, dict[str, Taken]]


class Desk:
    """`report`: is given each Execution, whose times are both that of the event.  `orders`: resting, by id, in order of
    arrival.  `taken`: by side of the book and price."""

    __slots__ = ("_report", "_touch", "book", "orders", "taken")

    def __init__(self, book: OrderBook, report: Callable[[Execution], None]) -> None:
        self.book = book
        self._report = report
        self.orders: dict[str, Working] = {}
        self.taken: dict[Side, dict[str, Taken]] = {"buy": {}, "sell": {}}
        self._touch: dict[Side, tuple[str, Decimal]] = dict.fromkeys(_OPPOSITE, ("", _ZERO))
        """As text and number, for the next look: most events leave it as it was."""

    @property
    def idle(self) -> bool:
        return not self.orders and not self.taken["buy"] and not self.taken["sell"]

    # --- our side ---

    def arrive(self, new: Working, now: int) -> None:
        """An order reaches a live book: it takes what it may, and rests if it may."""
        order, limit, side = new.order, new.limit, new.order.side
        own = self._own_best(_OPPOSITE[side])
        if order.post_only and limit is not None and self._would_take(side, limit, own):
            self._report(new.report(now, "REJECTED", "POST_ONLY", f"at {order.price} it would take"))
            return
        self._report(new.report(now, "ACCEPTED"))
        if order.tif == "FOK" and self._shown(side, limit, own) < new.leaves:
            reason = f"the book doesn't show all of {order.size}"
            self._report(new.report(now, "EXPIRED", "FOK", reason))
            return
        self._take(new, limit, own, now)
        if not new.leaves:
            return
        left = f"{text(new.leaves)} of {order.size} left"
        if own is not None and (limit is None or not _beyond(side, own, limit)):
            self._report(new.report(now, "CANCELED", "SELF_TRADE", f"{left}: own order at {text(own)}"))
        elif limit is None:
            self._report(new.report(now, "EXPIRED", "NO_LIQUIDITY", f"{left}: the book shows no more"))
        elif order.tif != "GTC":
            reason = f"{left}: nothing more at {order.price} or better"
            self._report(new.report(now, "EXPIRED", order.tif, reason))
        else:
            new.join(self._level(new), now)
            self.orders[order.order_id] = new

    def cancel(self, order_id: str, now: int) -> bool:
        """False if it isn't open here."""
        working = self.orders.pop(order_id, None)
        if working is None:
            return False
        self._report(working.report(now, "CANCELED", "REQUESTED", "canceled as asked"))
        return True

    # --- the feed's side, while the book is live ---

    def on_book(self, now: int) -> None:
        """The book has changed: by one record, or by any number while it wasn't live."""
        for side, levels in self.taken.items():
            if levels:
                sizes = self._ladder(side).sizes
                for price in [price for price, was in levels.items() if sizes.get(price) != was.level]:
                    del levels[price]
        touch = {side: self._touch_for(side) for side in _OPPOSITE}
        crossed = False
        for working in self.orders.values():
            level = self._level(working)
            if level is not None:
                working.see(level, now)
            side = working.order.side
            crossed = crossed or not _beyond(side, touch[side], working.limit or _ZERO)
        if crossed:
            for side in _OPPOSITE:
                for working in self._by_priority(side):
                    self._take(working, working.limit, None, now, "maker")

    def on_trade(self, trade: Trade, now: int) -> None:
        """A taker has come: first what stood before our orders, then they themselves."""
        price, left = Decimal(trade.price), Decimal(trade.size)
        for working in self._by_priority(_OPPOSITE[trade.side]):
            limit = working.limit
            if limit is None or _beyond(working.order.side, price, limit):
                break
            size = min(working.leaves, working.passes(price, left, now))
            if size > 0:
                left = EXACT.subtract(left, size)  # what one order gets, nobody behind it does
                self._fill(working, limit, size, "maker", now, trade.trade_id)

    # --- rules ---

    def _take(
        self,
        working: Working,
        limit: Decimal | None,
        own: Decimal | None,
        now: int,
        liquidity: Liquidity = "taker",
    ) -> None:
        """Fill from what is free, best first: a taker at the levels' prices, a maker at its limit."""
        side = working.order.side
        sizes, taken = self._ladder(_OPPOSITE[side]).sizes, self.taken[_OPPOSITE[side]]
        for level, price, free in self._free(side, limit, own):
            size = min(free, working.leaves)
            was = taken.setdefault(level, Taken(sizes[level], _ZERO))
            was.size = EXACT.add(was.size, size)
            at = price if liquidity == "taker" or limit is None else limit
            self._fill(working, at, size, liquidity, now)
            if not working.leaves:
                return

    def _free(
        self, side: Side, limit: Decimal | None, own: Decimal | None
    ) -> list[tuple[str, Decimal, Decimal]]:
        """(price as text, price, size) that an order of `side` may take, best first: what the opposite side shows at
        `limit` or better and none of us has taken, as far as the own order at price `own`."""
        ladder, taken = self._ladder(_OPPOSITE[side]), self.taken[_OPPOSITE[side]]
        found = []
        for level in reversed(ladder.prices):
            price = Decimal(level)
            if not price or (limit is not None and _beyond(side, price, limit)):
                break
            if own is not None and not _beyond(side, own, price):
                break
            free = Decimal(ladder.sizes[level])
            if level in taken:
                free = EXACT.subtract(free, taken[level].size)
            if free > 0:
                found.append((level, price, free))
        return found

    def _shown(self, side: Side, limit: Decimal | None, own: Decimal | None) -> Decimal:
        """All that is free."""
        return functools.reduce(EXACT.add, (free for _, _, free in self._free(side, limit, own)), _ZERO)

    def _would_take(self, side: Side, limit: Decimal, own: Decimal | None) -> bool:
        """By the book as shown: a level that we have taken counts until the feed says that it has gone."""
        if not _beyond(side, self._touch_for(side), limit):
            return True
        return own is not None and not _beyond(side, own, limit)

    def _touch_for(self, side: Side) -> Decimal:
        """The best price that an order of `side` could take; a live book has one."""
        price = self._ladder(_OPPOSITE[side]).prices[-1]
        text_, known = self._touch[side]
        if price != text_:
            known = Decimal(price)
            self._touch[side] = price, known
        return known

    def _level(self, working: Working) -> str | None:
        """Size shown at its price; None if that lies beyond the last level of the book."""
        ladder = self._ladder(working.order.side)
        size = ladder.sizes.get(working.price)
        if size is not None:
            return size
        if not ladder.prices or _beyond(
            working.order.side, Decimal(ladder.prices[0]), working.limit or _ZERO
        ):
            return None
        return "0"

    def _fill(
        self,
        working: Working,
        price: Decimal,
        size: Decimal,
        liquidity: Liquidity,
        now: int,
        trade_id: str | None = None,
    ) -> None:
        self._report(working.fill(price, size, liquidity, now, trade_id))
        if not working.leaves:
            self.orders.pop(working.order.order_id, None)

    def _ladder(self, side: Side) -> Ladder:
        return self.book.book.bids if side == "buy" else self.book.book.asks

    def _by_priority(self, side: Side) -> list[Working]:
        """Our orders of a side: the best price first, then the first to arrive."""
        found = [working for working in self.orders.values() if working.order.side == side]
        return sorted(found, key=lambda working: working.limit or _ZERO, reverse=side == "buy")

    def _own_best(self, side: Side) -> Decimal | None:
        found = self._by_priority(side)
        return found[0].limit if found else None


def _beyond(side: Side, price: Decimal, limit: Decimal) -> bool:
    """True if `price` is worse for `side` than `limit`."""
    return price > limit if side == "buy" else price < limit
