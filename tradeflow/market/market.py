"""`Market`: one partition's log of events, applied in order: books, trades, strategies, what is published.

Everything here is a function of the log.  No clock, no I/O: event time is the largest receipt time seen that may
be believed, so the same events give the same bytes, however often they are replayed and wherever a checkpoint cuts
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tables.order_books import Effect, OrderBook
from tradeflow.market.accounts import Accounts, Balances
from tradeflow.market.changes import BookChange
from tradeflow.market.counts import count
from tradeflow.market.keyframes import Keyframes
from tradeflow.market.orders import Orders
from tradeflow.market.run import Run
from tradeflow.market.runs import Runs
from tradeflow.market.served import Output, ServedBook
from tradeflow.market.trading import Trading, VenueFactory
from tradeflow.messages import (
    BookRecord,
    Cause,
    Clock,
    Command,
    Delta,
    Down,
    Execution,
    Heartbeat,
    Instrument,
    MarketEvent,
    Order,
    Record,
    ResyncRequest,
    Snapshot,
    Steer,
    Trade,
)
from tradeflow.risk.gate import RiskGate
from tradeflow.strategies.strategy import Strategy
from tradeflow.strategies.views import BookView

SECOND = 1_000_000_000
REFRESH = 5 * SECOND
"""Event time after which the top of every book is published again, for readers that have just started."""
RESYNC_EVERY = 5 * SECOND
"""Least event time between two resync requests for one book."""
AHEAD = SECOND
"""By how much a receipt time may be later than the broker's own time of the record."""
ALWAYS = 2**63
"""A broker's time that is later than any other: every receipt time is believed."""

_MARKET_KEY = "market"

_encode = msgspec.json.Encoder().encode


_APPLIED, _DUPLICATE, _UNUSABLE, _GAP = Effect.APPLIED, Effect.DUPLICATE, Effect.UNUSABLE, Effect.GAP


def time_of(event: MarketEvent, appended: int) -> int:
    """What an event makes event time, unless that is later already; see Market.apply."""
    return appended if event.receipt_time > appended + AHEAD else event.receipt_time


def _change(book: OrderBook, event: BookRecord, now: int) -> Effect:
    """What isn't a delta."""
    if type(event) is Snapshot:
        return book.snapshot(event, now)
    if type(event) is Down:
        return book.down(event, event.reason, now)
    assert type(event) is Heartbeat
    return book.heartbeat(event, now)


class Market:
    """The books, strategies and outputs of one partition of `market-events`.

    `books`: (exchange, symbol) pairs to serve; events of others are counted and ignored.  `depth`: levels a side in
    `normalized-books`, of which a book gets at most `normalized_per_second` (and one at each change of its state).
    `silence_ns`: after so long without a sign of life a live book is stale; `max_jump`: share of the mid by which one
    delta may move it (0: any), beyond it the book is broken.  `keyframe_interval`: ns between two records of a book in
    `keyframes`.  `want_changes`: collect BookChanges.  `strategy_budget`: seconds that a strategy's call may take; the
    one thing here that is no function of the log, so replays leave it out.

    `gate` decides over orders, without one all are let through.  `venue(books, instruments)` makes what executes them;
    without one (a replay) the executions in the log are all there are.  `balances`: what each book's purse holds at
    the beginning."""

    def __init__(
        self,
        partition: int,
        books: Sequence[tuple[str, str]],
        strategies: Sequence[Strategy] = (),
        *,
        depth: int = 20,
        silence_ns: int = 5 * SECOND,
        max_jump: float = 0.0,
        normalized_per_second: float = 10.0,
        want_changes: bool = False,
        strategy_budget: float | None = None,
        keyframe_interval: int = 60 * SECOND,
        gate: RiskGate | None = None,
        venue: VenueFactory | None = None,
        balances: Balances | None = None,
    ) -> None:
        self.partition = partition
        self.event_time = 0
        self.want_changes = want_changes
        self._refreshed = 0
        self._ignored = 0
        interval = round(SECOND / normalized_per_second)
        self._served = {
            place: ServedBook(*place, depth, interval, silence_ns, max_jump) for place in sorted(books)
        }
        self.books: dict[tuple[str, str], OrderBook] = {
            place: one.book for place, one in self._served.items()
        }
        views: dict[str, dict[str, BookView]] = {}
        for (exchange, symbol), served in self._served.items():
            views.setdefault(symbol, {})[exchange] = served.view
        self._outputs: list[Output] = []
        registry = Orders()
        self._runs = Runs(strategies, views, registry, strategy_budget)
        accounts = Accounts(self.books, balances or {})
        executing = None if venue is None else venue(self.books, accounts.instruments)
        self.trading = Trading(registry, self._runs, accounts, self._put, gate, executing)
        self._apart: dict[type, Callable[[Any], None]] = {
            Clock: self._clock,
            Command: self._command,
            Instrument: self._instrument,
            Execution: self._execution,
            Steer: lambda event: self.trading.steer(event, self.event_time),
        }
        """Events that change no book."""
        self._keyframes = Keyframes(list(self._served.values()), keyframe_interval)
        self._due = 0
        """Event time from which a timer, the venue or a keyframe has something to do."""
        self._resyncs: list[ResyncRequest] = []
        self._changes: list[BookChange] = []

    def apply(self, event: MarketEvent, offset: int, appended: int = ALWAYS) -> None:
        """The next event of the log; `appended`: when the broker took it, by its own clock, which is in the log too.

        Never raises for what is in it: a bad book is marked, a strategy that raises is halted alone.  A receipt
        time that is ahead of the broker comes from a clock that has jumped: the broker's time counts instead, for
        event time never goes back, and a whole partition would be silent until the others' clocks have caught up."""
        time = event.receipt_time
        if time > self.event_time:
            if time > appended + AHEAD:
                time = max(appended, self.event_time)
            if time >= self._due:
                self._advance(time, offset)
            self.event_time = time
        # `type() is`, and Delta first: isinstance() of another struct costs five times as much.
        if type(event) is not Delta and (apart := self._apart.get(type(event))):
            apart(event)
            self._note_due()
            return
        record: Any = event  # of a book, or a trade: whatever else there is is handled apart
        served = self._served.get((record.exchange, record.symbol))
        if served is None:
            self._ignored += 1
        elif type(event) is Trade:
            self._trade(served, event)
        else:
            self._book(served, record, offset)

    def take_outputs(self) -> list[Output]:
        """What has to be sent since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def take_resyncs(self) -> list[ResyncRequest]:
        """Requests for feeds since the last call; `feed` is -1, for a market doesn't know the feeds."""
        resyncs, self._resyncs = self._resyncs, []
        return resyncs

    def take_changes(self) -> list[BookChange]:
        """For plain agents, since the last call."""
        changes, self._changes = self._changes, []
        return changes

    @property
    def instruments(self) -> list[Instrument]:
        """Of the books whose feeds have told theirs."""
        return [served.instrument for served in self._served.values() if served.instrument]

    @property
    def runs(self) -> list[Run]:
        """Every strategy on every symbol (or group), with its state and halt."""
        return self._runs.all

    @property
    def counts(self) -> dict[str, Any]:
        """Since this process took the partition, JSON-able."""
        return count(self._served, self._ignored, self.runs) | {"executions": self.trading.counts}

    # --- events ---

    def _advance(self, now: int, offset: int) -> None:
        """Before the event that moves event time to `now`: timers fire, and what the venue has promised happens."""
        if now >= self._keyframes.due:
            self._outputs += self._keyframes.advance(self.event_time, now, offset - 1)
        if now >= self._runs.timers.due:
            self._send(self._runs.advance(self.event_time, now))
        if now >= self.trading.due:
            self.trading.advance(now)
        self._note_due()

    def _note_due(self) -> None:
        self._due = min(self._runs.timers.due, self.trading.due, self._keyframes.due)

    def _book(self, served: ServedBook, event: BookRecord, offset: int) -> None:
        book, now = served.book, self.event_time
        state, reason = book.state, book.reason
        try:
            effect = book.delta(event, now) if type(event) is Delta else _change(book, event, now)
        except (ValueError, LookupError) as error:  # levels that normalize would not have let through
            book.spoil(f"unusable record {event.sequence} of epoch {event.epoch}: {error}", now)
            effect = _UNUSABLE
        if effect is _DUPLICATE:
            served.counts.duplicates += 1
            return
        served.dirty = True
        changed = book.state != state or book.reason != reason
        applied = effect is _APPLIED
        if applied:
            book.offset = offset
            if type(event) is Delta:
                served.counts.deltas += 1
            else:
                served.counts.snapshots += 1
        elif effect is _GAP:
            served.counts.gaps += 1
        if applied or changed:
            self._show(served, changed)
            if served.traded:
                self._venue_sees(served, event)
        if book.state == "live":
            if applied and event.symbol in self._runs.watched:
                self._send(self._runs.on_book(event, served.view, now))
        elif changed and state == "live":
            self._lost(served, event)

    def _venue_sees(self, served: ServedBook, event: BookRecord) -> None:
        self.trading.book(event, served.book, self.event_time)
        self._due = min(self._due, self.trading.due)

    def _lost(self, served: ServedBook, origin: BookRecord | Cause) -> None:
        """A book that was live may no longer be: what waits there is canceled."""
        if not served.book.live:
            self._send(self.trading.book_lost(served.book, origin, self.event_time))

    def _trade(self, served: ServedBook, event: Trade) -> None:
        served.tape_dirty = True
        if not served.tape.is_new(event):
            served.counts.duplicates += 1
            return
        served.counts.trades += 1
        self._outputs.append(Output("trades", served.key, _encode(event)))
        if served.traded:
            self.trading.trade(event, self.event_time)
            self._due = min(self._due, self.trading.due)
        self._send(self._runs.on_trade(event, self.event_time))

    def _instrument(self, event: Instrument) -> None:
        served = self._served.get((event.exchange, event.symbol))
        if served is None:
            self._ignored += 1
        elif served.note_instrument(event):
            self.trading.accounts.note_instrument(event)

    def _execution(self, event: Execution) -> None:
        if (event.exchange, event.symbol) not in self._served:
            self._ignored += 1
        else:
            self.trading.execution(event, self.event_time)

    def _command(self, event: Command) -> None:
        served = self._served.get((event.order.exchange, event.order.symbol))
        if served is None:
            self._ignored += 1
            return
        served.traded = True
        self.trading.command(event, self.event_time)

    def _clock(self, _: Clock) -> None:
        now = self.event_time
        refresh = now - self._refreshed >= REFRESH
        for served in self._served.values():
            if served.book.silence(now):
                served.dirty = True
                self._show(served, True)
                self._lost(served, Cause(kind="timer", timer="silence", time=now))
            elif refresh:
                self._outputs.append(served.top(now))
            served.publish_levels(now, False, self._outputs)
            if served.book.state == "broken":
                self._ask_for_resync(served)
        if refresh:
            self._refreshed = now
            self.trading.refresh(now)

    def _show(self, served: ServedBook, state_changed: bool) -> None:
        served.publish(self.event_time, state_changed, self._outputs)
        if self.want_changes:
            self._changes.append(served.change(self.event_time))
        if served.book.state == "broken":
            self._ask_for_resync(served)

    def _ask_for_resync(self, served: ServedBook) -> None:
        book, now = served.book, self.event_time
        if now - book.asked < RESYNC_EVERY:
            return
        book.asked, served.dirty = now, True
        self._resyncs.append(
            ResyncRequest(
                feed=-1,
                exchange=book.exchange,
                symbol=book.symbol,
                epoch=book.epoch,
                sequence=book.sequence,
                reason=book.reason,
                time=now,
            )
        )

    def _send(self, orders: list[Order]) -> None:
        for order in orders:
            self._put("orders", order.symbol, order)

    def _put(self, topic: str, symbol: str, record: Record) -> None:
        self._outputs.append(Output(topic, symbol.encode(), _encode(record)))

    # --- checkpoint ---

    def take_dirty(self) -> dict[tuple[str, str], bytes]:
        """(table, key) → value of all that changed since the last call; to be called between two events.

        With what was taken before it is the state as of the last event."""
        found = {("strategy_states", _MARKET_KEY): _encode((self.event_time, self._refreshed))}
        for served in self._served.values():
            found |= served.take_dirty()
        for run in self.runs:
            if run.dirty:
                found["strategy_states", run.key] = run.encode()
            run.dirty = False
        found |= {("strategy_states", key): value for key, value in self.trading.take_dirty().items()}
        return found

    def restore(self, read: Callable[[str, str], bytes | None]) -> None:
        """Continue from what take_dirty() gave; `read(table, key)` is None for what was never written."""
        value = read("strategy_states", _MARKET_KEY)
        if value is not None:
            self.event_time, self._refreshed = msgspec.json.decode(value, type=tuple[int, int])
        for served in self._served.values():
            served.restore(read)
            if served.instrument:
                self.trading.accounts.note_instrument(served.instrument)
        for run in self.runs:
            value = read("strategy_states", run.key)
            if value is not None:
                run.restore(value)
        self.trading.restore(lambda key: read("strategy_states", key))
        for served in self._served.values():
            served.traded = self.trading.used
        self._due = 0
