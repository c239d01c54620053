"""One simulated book, two strategies, and what each program makes of them: the runs that bench/papers.py compares.

The strategies decide by the clock alone, so both programs send the same orders, whatever becomes of them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from bench.entrants import locked_python
from bench.processes import ROOT
from tradeflow.execution import Fees, PaperExchange, matching, paper, working
from tradeflow.execution.fees import PUBLISHED
from tradeflow.market import Market
from tradeflow.messages import Clock, Command, Delta, Execution, MarketEvent, Order, Snapshot, Trade
from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market as SimulatedMarket
from tradeflow.strategies.actions import buy, cancel, sell
from tradeflow.strategies.strategy import Actions, Strategy, timer
from tradeflow.strategies.views import Context

PLACE = ("kraken", "BTC-USDT")  # fees in quote, as hftbacktest counts them
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
STEPS = 20
"""Of the simulated market, a second."""
LONGER = 5
"""Seconds that the events go on after the last order, so that each is answered."""


class Taker(Strategy):
    """An order a second: two to buy at the ask, two to sell at the bid, and so on."""

    size: Decimal = Decimal(1)
    seconds: int = 0

    @timer(seconds=1)
    def tick(self, ctx: Context) -> Actions:
        second = (ctx.now - START) // SECOND
        book = ctx.books[PLACE[0]]
        if 0 < second < self.seconds:
            if second % 4 < 2:
                yield buy(book, book.ask.price, self.size, tif="IOC", tag=str(second * 2))
            else:
                yield sell(book, book.bid.price, self.size, tif="IOC", tag=str(second * 2 + 1))


class Maker(Strategy):
    """Both sides at the touch, post-only, for two seconds of three."""

    size: Decimal = Decimal(1)
    seconds: int = 0

    @timer(seconds=1)
    def tick(self, ctx: Context) -> Actions:
        second = (ctx.now - START) // SECOND
        book = ctx.books[PLACE[0]]
        if 0 < second < self.seconds and second % 3 == 0:
            yield buy(book, book.bid.price, self.size, post_only=True, tag=str(second * 2))
            yield sell(book, book.ask.price, self.size, post_only=True, tag=str(second * 2 + 1))
        elif second % 3 == 2:
            for order in ctx.orders:
                yield cancel(order)


def history(seconds: int, seed: int) -> list[MarketEvent]:
    """Snapshot, trades and deltas of one simulated book, and a Clock at each second, in the order of their times."""
    (instrument,) = listed([PLACE[0]], [PLACE[1]])
    market = SimulatedMarket([instrument], seed=seed, rate=STEPS, depth=50, start=START)
    book = market.books[PLACE]
    fields: dict[str, Any] = {"exchange": PLACE[0], "symbol": PLACE[1], "epoch": 1}
    price, size = instrument.price_text, instrument.size_text
    sides = [
        [(price(tick), size(lots)) for tick, lots in side.lots.items()] for side in (book.bids, book.asks)
    ]
    events: list[MarketEvent] = [
        Snapshot(**fields, sequence=0, receipt_time=START, bids=sides[0], asks=sides[1])
    ]
    sequence = trades = 0
    for step in range((seconds + LONGER) * STEPS):
        time = START + step * SECOND // STEPS + 7_000_000  # never at a full second, nor 50 ms after it
        if step and step % STEPS == 0:
            events.append(Clock(receipt_time=START + step // STEPS * SECOND))
        for update in market.step(time):
            for trade in update.trades:
                trades += 1
                events.append(
                    Trade(
                        **fields,
                        sequence=trades,
                        receipt_time=time,
                        side="buy" if trade.side == "buy" else "sell",
                        price=price(trade.price),
                        size=size(trade.lots),
                        trade_id=str(trade.trade_id),
                    )
                )
            sequence += 1
            bids, asks = (
                [(price(c.price), size(c.after)) for c in side] for side in (update.bids, update.asks)
            )
            events.append(Delta(**fields, sequence=sequence, receipt_time=time + 1_000, bids=bids, asks=asks))
    return events


def rows(events: list[MarketEvent]) -> Iterator[tuple[str, str, int, str, str]]:
    """(depth | trade, side, time, price, size): the same for hftbacktest."""
    for event in events:
        if isinstance(event, Trade):
            yield "trade", event.side, event.receipt_time, event.price, event.size
        elif isinstance(event, (Snapshot, Delta)):
            for side, levels in (("buy", event.bids), ("sell", event.asks)):
                for price, size in levels:
                    yield "depth", side, event.receipt_time, price, size


@dataclass
class Money:
    volume: Decimal = Decimal(0)
    position: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    """Without fees."""
    fees: Decimal = Decimal(0)

    def add(self, said: Execution) -> None:
        """A fill."""
        price, size, fee = (Decimal(text or 0) for text in (said.last_price, said.last_size, said.fee))
        sign = 1 if said.side == "buy" else -1
        self.volume, self.position = self.volume + size, self.position + sign * size
        self.cash, self.fees = self.cash - sign * price * size, self.fees + fee

    def profit(self, mid: Decimal) -> Decimal:
        return self.cash + self.position * mid - self.fees


@dataclass
class Result:
    filled: dict[str, Decimal] = field(default_factory=dict)
    """Of each order that got something, by its number."""
    money: Money = field(default_factory=Money)
    last: Money = field(default_factory=Money)
    """Of the last fill of each order that was filled whole: all that hftbacktest counts."""
    mid: Decimal = Decimal(0)
    """At the end."""


class Rules(matching.Desk):
    """A desk with some of hftbacktest's rules: `IN_FULL`: an order whose price is passed is filled whole, whatever is
    traded or shown there; `FORGETS`: what was taken is there again at once."""

    IN_FULL = FORGETS = False

    def on_book(self, now: int) -> None:
        for side, other in (("buy", self.book.book.asks), ("sell", self.book.book.bids)):
            for one in self._by_priority("buy" if side == "buy" else "sell") if self.IN_FULL else ():
                touch = Decimal(other.prices[-1])
                if one.limit is not None and (touch <= one.limit if side == "buy" else touch >= one.limit):
                    self._fill(one, one.limit, one.leaves, "maker", now)
        super().on_book(now)

    def on_trade(self, trade: Trade, now: int) -> None:
        price = Decimal(trade.price)
        for one in self._by_priority("sell" if trade.side == "buy" else "buy") if self.IN_FULL else ():
            if one.limit is not None and (
                price < one.limit if one.order.side == "buy" else price > one.limit
            ):
                self._fill(one, one.limit, one.leaves, "maker", now)
        super().on_trade(trade, now)

    def arrive(self, new: working.Working, now: int) -> None:
        if self.FORGETS:
            self.taken = {"buy": {}, "sell": {}}
        super().arrive(new, now)


def tradeflow(strategy: Strategy, events: list[MarketEvent]) -> Result:
    """A market as a worker runs it; what it sends comes back into its log at once."""
    market = Market(
        0,
        [PLACE],
        [strategy],
        venue=lambda books, instruments: PaperExchange(books, fees=Fees(), instruments=instruments),
    )
    result, tags, offset = Result(), dict[str, str](), 0
    waiting: deque[MarketEvent] = deque()
    for given in events:
        waiting.append(given)
        while waiting:
            market.apply(waiting.popleft(), offset)
            offset += 1
            for output in market.take_outputs():
                if output.topic == "orders":
                    order = msgspec.json.decode(output.value, type=Order)
                    tags[order.order_id] = order.tag
                    waiting.append(Command(order=order, offset=offset, receipt_time=market.event_time))
                elif output.topic == "market-events":
                    said = msgspec.json.decode(output.value, type=Execution)
                    waiting.append(said)
                    if said.last_price is not None:
                        result.filled[tags[said.order_id]] = Decimal(said.filled_size)
                        result.money.add(said)
                        if said.status == "FILLED":
                            result.last.add(said)
    (halted,) = {run.halted for run in market.runs}
    assert not halted, halted
    middle = market.books[PLACE].book.mid_and_spread()
    result.mid = Decimal(middle[0]) if middle else result.mid
    return result


def hftbacktest(events: list[MarketEvent], seconds: int, size: Decimal) -> dict[str, Result]:
    found = run_contestant("hftbacktest", "hftbacktest_paper", events, seconds, size)
    return {name: msgspec.convert(result, Result, strict=False) for name, result in found.items()}


def run_contestant(
    environment: str, program: str, events: list[MarketEvent], seconds: int, size: Decimal, **more: Any
) -> Any:
    """What a program of bench/contestants, in its own environment, writes of these events."""
    (fee,) = (fee for fee in PUBLISHED if fee.exchange == PLACE[0])
    setup = {"start": START, "seconds": seconds, "size": float(size), "latency": paper.LATENCY, **more}
    setup |= {"maker": float(fee.maker), "taker": float(fee.taker), "tick": 0.1, "lot": 1e-8}
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "setup.json").write_text(json.dumps(setup))
        (Path(directory) / "events.json").write_text(json.dumps(list(rows(events))))
        file = ROOT / "bench" / "contestants" / f"{program}.py"
        subprocess.run([locked_python(environment), str(file)], cwd=directory, check=True)
        return json.loads((Path(directory) / "result.json").read_text())
