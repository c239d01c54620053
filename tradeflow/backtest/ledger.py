"""`Ledger`: what one partition's books earned, at each sample of event time; pure."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from tables.contracts import worth
from tables.exact import EXACT, text
from tradeflow.backtest.result import BookResult
from tradeflow.market import Market
from tradeflow.market.accounts import Place
from tradeflow.messages import Execution

_ZERO = Decimal(0)


class Ledger:
    """Of the books that had a fill.  `interval`: ns of event time between two samples."""

    def __init__(self, market: Market, interval: int) -> None:
        self._market = market
        self._interval = interval
        self._accounts = market.trading.accounts
        self._mids: dict[Place, Decimal] = {}
        self.due = 0
        self.samples: dict[int, dict[str, Decimal]] = {}
        """Time → currency → P&L so far; only where something had been filled."""
        self.fills: dict[Place, int] = defaultdict(int)
        self.turnover: dict[Place, Decimal] = defaultdict(Decimal)

    def fill(self, execution: Execution) -> None:
        """After the market has applied it."""
        place = execution.exchange, execution.symbol
        position = self._accounts.position(place)
        price, size = Decimal(execution.last_price or 0), Decimal(execution.last_size or 0)
        self.fills[place] += 1
        amount = worth(position.contract, position.contract_value, price, size)
        self.turnover[place] = EXACT.add(self.turnover[place], amount)

    def sample(self) -> None:
        """To be called once event time has come to `due`."""
        now = self._market.event_time
        self.due = (now // self._interval + 1) * self._interval
        if self.fills:
            totals: dict[str, Decimal] = defaultdict(Decimal)
            for place in self.fills:
                totals[self._accounts.position(place).currency] += self._pnl(place)
            self.samples[now // self._interval * self._interval] = dict(totals)

    def books(self) -> list[BookResult]:
        found = []
        for place in sorted(self.fills):
            position = self._accounts.position(place)
            unrealized = position.unrealized(self._mid(place))
            found.append(
                BookResult(
                    exchange=place[0],
                    symbol=place[1],
                    currency=position.currency,
                    position=text(position.size),
                    realized=text(position.realized),
                    unrealized=text(unrealized),
                    fees={currency: text(amount) for currency, amount in sorted(position.fees.items())},
                    pnl=text(self._pnl(place)),
                    fills=self.fills[place],
                    turnover=text(self.turnover[place]),
                )
            )
        return found

    def _pnl(self, place: Place) -> Decimal:
        """After fees; a fee in base counts as what that is worth at the mid."""
        position, mid = self._accounts.position(place), self._mid(place)
        total = EXACT.add(position.realized, position.unrealized(mid))
        for currency, fee in position.fees.items():
            amount = fee if currency == position.currency else EXACT.multiply(fee, mid)
            total = EXACT.subtract(total, amount)
        return total

    def _mid(self, place: Place) -> Decimal:
        """Of the book if it is live, else the last one that was looked at."""
        book = self._market.books[place]
        middle = book.book.mid_and_spread() if book.live else None
        if middle is not None:
            self._mids[place] = Decimal(middle[0])
        return self._mids.get(place, _ZERO)
