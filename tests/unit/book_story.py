"""A story of books: feeds that number, a log that loses, repeats and reorders, and two readers of it.

One reader is the project's (`OrderBook`, and `Market` with its checkpoints), the other is `Reference`: plain dicts,
written from the rules alone.  After every step both must believe the same, and what is live must be the truth."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec

from tables.order_books import OrderBook
from tradeflow.market import Market
from tradeflow.messages import Clock, Delta, Down, Heartbeat, MarketEvent, Snapshot, TopOfBook

START = 1_700_000_000_000_000_000
SILENCE = 3_000_000_000
EXCHANGES = ("binance", "kraken")
SYMBOL = "BTC-USDT"
DEPTH = 5
"""Kraken's book is cut at so many levels a side."""

Side = dict[int, str]
Books = tuple[Side, Side]


def texts(side: Side) -> dict[str, str]:
    return {str(price): size for price, size in side.items()}


class Feed:
    """A book as it truly is, and the feed that tells of it; `log`: what is on its way to the readers."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.depth = DEPTH if exchange == "kraken" else None
        self.epoch, self.sequence = -1, -1
        self.is_up = self.has_gap = False
        self.truth: Books = ({}, {})
        self.truths: dict[tuple[int, int], Books] = {}
        """(epoch, sequence) -> the true book as of that record."""
        self.log: list[MarketEvent] = []
        self.written: list[MarketEvent] = []

    def write(self, kind: type, now: int, **fields: Any) -> None:
        place = {"exchange": self.exchange, "symbol": SYMBOL, "epoch": self.epoch, "sequence": self.sequence}
        event = kind(**place, receipt_time=now, **fields)
        self.log.append(event)
        self.written.append(event)

    def connect(self, epoch: int, now: int) -> None:
        if self.is_up:
            self.down(now)
        self.epoch, self.sequence, self.is_up, self.has_gap = epoch, -1, True, False

    def down(self, now: int) -> None:
        if self.is_up:
            self.write(Down, now, reason="closed by the exchange")
            self.is_up = False

    def snapshot(self, now: int, middle: int, levels: list[tuple[int, str]]) -> None:
        """A whole book around `middle`; an empty list is an empty book."""
        if not self.is_up:
            return
        bids = {middle - 1 - offset: size for offset, size in levels if size != "0"}
        asks = {middle + 1 + offset: size for offset, size in levels[::-1] if size != "0"}
        self.sequence, self.has_gap = self.sequence + 1, False
        self._becomes((bids, asks))
        sides = [list(texts(side).items()) for side in (bids, asks)]
        self.write(Snapshot, now, bids=sides[0], asks=sides[1], depth=self.depth)

    def delta(self, now: int, bids: Side, asks: Side) -> None:
        """What happened at the exchange; where the feed knows that it lost something it says nothing of it."""
        if not self.is_up or self.sequence < 0:
            return
        truth = tuple({**side, **news} for side, news in zip(self.truth, (bids, asks), strict=True))
        self._becomes(
            tuple({p: size for p, size in side.items() if size != "0"} for side in truth), note=False
        )  # type: ignore[arg-type]
        if not self.has_gap:
            self.sequence += 1
            self.truths[self.epoch, self.sequence] = self.truth
            sides = [list(texts(side).items()) for side in (bids, asks)]
            self.write(Delta, now, bids=sides[0], asks=sides[1], depth=self.depth)

    def gap(self, now: int) -> None:
        """The exchange's own check has failed: a number that never comes, and deltas only after a snapshot."""
        if self.is_up and self.sequence >= 0 and not self.has_gap:
            self.sequence, self.has_gap = self.sequence + 1, True
            self.write(Heartbeat, now)

    def heartbeat(self, now: int) -> None:
        if self.is_up:
            self.write(Heartbeat, now)

    def _becomes(self, books: Books, note: bool = True) -> None:
        bids, asks = books
        if self.depth is not None:
            bids = dict(sorted(bids.items(), reverse=True)[: self.depth])
            asks = dict(sorted(asks.items())[: self.depth])
        self.truth = bids, asks
        if note:
            self.truths[self.epoch, self.sequence] = self.truth


class Reference:
    """What a reader may believe of one book, and no state machine: `levels` is None where it may believe nothing."""

    def __init__(self, depth: int | None) -> None:
        self.depth = depth
        self.place = (-1, -1)
        self.levels: Books | None = None
        self.is_over = False
        self.heard = 0

    def read(self, event: Any) -> None:
        epoch, sequence = event.epoch, event.sequence
        if epoch < self.place[0] or (epoch == self.place[0] and self.is_over):
            return
        news = event if isinstance(event, Snapshot | Delta) else None
        if news is not None and (epoch, sequence) <= self.place:
            return
        if epoch > self.place[0]:
            self.heard, self.is_over = (self.heard if isinstance(event, Snapshot) else 0), False
            self.place, self.levels = (epoch, -1), None
        if isinstance(event, Down):
            self.is_over, self.levels = True, None
            return
        self.heard = max(self.heard, event.receipt_time)
        if isinstance(event, Snapshot):
            self.place, self.levels = (epoch, sequence), ({}, {})
            self._apply(event)
        elif sequence > self.place[1] + (news is not None):
            self.levels = None
        elif news is not None and self.levels is not None:
            self.place = (epoch, sequence)
            self._apply(event)

    def _apply(self, event: Any) -> None:
        assert self.levels is not None
        for side, changes, is_bids in zip(self.levels, (event.bids, event.asks), (True, False), strict=True):
            for price, size in changes:
                side[int(price)] = size
                if Decimal(size) == 0:
                    del side[int(price)]
            while self.depth is not None and len(side) > self.depth:
                del side[min(side) if is_bids else max(side)]
        bids, asks = self.levels
        if not bids or not asks or max(bids) >= min(asks):
            self.levels = None  # the exchange contradicts itself: until its next snapshot

    def is_live(self, now: int) -> bool:
        return self.levels is not None and now - self.heard <= SILENCE


class Story:
    """Each method is something that may happen next; `step` lets chance decide."""

    def __init__(self) -> None:
        self.now = START
        self.epochs = 0
        self.offset = 0
        self.feeds = [Feed(exchange) for exchange in EXCHANGES]
        self.references = [Reference(feed.depth) for feed in self.feeds]
        self.books = [OrderBook(feed.exchange, SYMBOL, SILENCE) for feed in self.feeds]
        self.market = self._new_market()
        self.stored: dict[tuple[str, str], bytes] = {}
        self.published: dict[str, TopOfBook] = {}

    def _new_market(self) -> Market:
        return Market(0, [(exchange, SYMBOL) for exchange in EXCHANGES], silence_ns=SILENCE)

    # --- what may happen at the feeds ---

    def connect(self, which: int) -> None:
        self.epochs += 1
        self.feeds[which].connect(self.epochs, self._tick())

    def snapshot(self, which: int, middle: int, levels: list[tuple[int, str]]) -> None:
        self.feeds[which].snapshot(self._tick(), middle, levels)

    def delta(self, which: int, bids: Side, asks: Side) -> None:
        self.feeds[which].delta(self._tick(), bids, asks)

    def gap(self, which: int) -> None:
        self.feeds[which].gap(self._tick())

    def heartbeat(self, which: int) -> None:
        self.feeds[which].heartbeat(self._tick())

    def down(self, which: int) -> None:
        self.feeds[which].down(self._tick())

    # --- what may happen on the way ---

    def deliver(self, which: int, count: int) -> None:
        """The next records arrive, as they should."""
        for _ in range(min(count, len(self.feeds[which].log))):
            self.arrive(which, self.feeds[which].log.pop(0))

    def lose(self, which: int) -> None:
        if self.feeds[which].log:
            self.feeds[which].log.pop(0)

    def repeat(self, which: int, back: int) -> None:
        """Records that were written before are written again, in order."""
        for event in self.feeds[which].written[-back:]:
            if event not in self.feeds[which].log:
                self.arrive(which, event)

    def reorder(self, which: int) -> None:
        self.feeds[which].log.reverse()

    def silence(self, nanoseconds: int) -> None:
        self.now += nanoseconds
        self._clock()

    def restore(self) -> None:
        """A worker dies and another goes on from its checkpoint."""
        self.stored.update(self.market.take_dirty())
        self.market = self._new_market()
        self.market.restore(lambda table, key: self.stored.get((table, key)))
        for number, book in enumerate(self.books):
            self.books[number] = again = OrderBook(book.exchange, book.symbol, SILENCE)
            again.load(book.encode())

    def arrive(self, which: int, event: Any) -> None:
        """Both readers get it, and the project's twice: the second time nothing may change."""
        book = self.books[which]
        now = self.event_time = max(self.market.event_time, event.receipt_time)
        self.references[which].read(event)
        self._apply(book, event, now)
        before = book.encode()
        self._apply(book, event, now)
        assert book.encode() == before, f"{event} changed the book when it came again"
        self._log(event)
        outputs = self.market.take_outputs()
        self.market.apply(event, self.offset)
        assert self.market.take_outputs() == [], f"{event} was published twice"
        self._note(outputs)
        self._clock()

    # --- what must always be true ---

    def check(self) -> None:
        now = self.market.event_time
        for feed, book, reference in zip(self.feeds, self.books, self.references, strict=True):
            served = self.market.books[feed.exchange, SYMBOL]
            for one in (book, served):
                assert (one.state == "live") == reference.is_live(now), (
                    one.state,
                    one.reason,
                    reference.place,
                )
                assert (one.reason == "") == (one.state == "live")
                if one.live:
                    assert (one.epoch, one.sequence) == reference.place
                    levels = one.book.bids.sizes, one.book.asks.sizes
                    assert reference.levels is not None
                    assert levels == tuple(map(texts, reference.levels))
                    assert levels == tuple(map(texts, feed.truths[reference.place])), (
                        "live, and not the truth"
                    )
            assert (served.state, served.reason, served.epoch, served.sequence) == (
                book.state,
                book.reason,
                book.epoch,
                book.sequence,
            )
            if (top := self.published.get(feed.exchange)) is not None:
                assert top.state == served.state, "the last word on it isn't its state"
                if served.live:
                    assert (top.bid, top.ask) == (served.book.best_bid, served.book.best_ask)

    # --- chance ---

    def step(self, draw: random.Random) -> None:
        which = draw.randrange(2)
        kind = draw.random()
        if kind < 0.07:
            self.connect(which)
        elif kind < 0.20:
            self.snapshot(
                which, draw.randrange(98, 103), [(n, draw.choice(SIZES)) for n in range(draw.randrange(7))]
            )
        elif kind < 0.50:
            self.delta(
                which,
                *(
                    {draw.randrange(94, 107): draw.choice(SIZES) for _ in range(draw.randrange(3))}
                    for _ in "ba"
                ),
            )
        elif kind < 0.53:
            self.gap(which)
        elif kind < 0.60:
            self.heartbeat(which)
        elif kind < 0.62:
            self.down(which)
        elif kind < 0.82:
            self.deliver(which, draw.randrange(1, 9))
        elif kind < 0.86:
            self.lose(which)
        elif kind < 0.90:
            self.repeat(which, draw.randrange(1, 9))
        elif kind < 0.93:
            self.reorder(which)
        elif kind < 0.97:
            self.silence(draw.choice([1, 500_000_000, SILENCE, SILENCE + 1]))
        else:
            self.restore()

    # --- small print ---

    def _tick(self) -> int:
        self.now += 1_000_000
        return self.now

    def _log(self, event: Any) -> None:
        self.market.apply(event, self.offset)
        self.offset += 1

    def _clock(self) -> None:
        """As the partition's owner writes it; here after each record, so that silence is noticed at once."""
        self._log(Clock(receipt_time=max(self.now, self.market.event_time)))
        for book in self.books:
            book.silence(self.market.event_time)
        self._note(self.market.take_outputs())

    def _note(self, outputs: list[Any]) -> None:
        self.market.take_resyncs()
        for output in outputs:
            if output.topic == "top-of-book":
                top = msgspec.json.decode(output.value, type=TopOfBook)
                self.published[top.exchange] = top

    @staticmethod
    def _apply(book: OrderBook, event: Any, now: int) -> None:
        if isinstance(event, Down):
            book.down(event, event.reason, now)
        else:
            {Snapshot: book.snapshot, Delta: book.delta, Heartbeat: book.heartbeat}[type(event)](event, now)


SIZES = ("0", "1", "2.5", "0.75")


def tell(seed: int, steps: int = 60) -> Story:
    """One story by chance; raises AssertionError with its seed."""
    draw, story = random.Random(seed), Story()
    for number in range(steps):
        try:
            story.step(draw)
            story.check()
        except AssertionError as error:
            raise AssertionError(f"story {seed}, step {number}: {error}") from error
    return story
