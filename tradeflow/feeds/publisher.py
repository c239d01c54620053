"""`Publisher`: numbers what a source delivers and hands it, encoded, to Kafka's sender."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from tradeflow.feeds.numbers import Gap, Numbers
from tradeflow.messages import (
    Instrument,
    Level,
    Listing,
    Raw,
    RawBook,
    RawDown,
    RawHeartbeat,
    RawInstrument,
    RawTrade,
)
from tradeflow.normalize import NormalizeError, check_book, normalize
from tradeflow.ticks import Tick

logger = logging.getLogger(__name__)

Send = Callable[[str, int, bytes, bytes], None]
"""send(topic, partition, key, value): synchronous, bounded; raises BufferError when it can take no more."""


class Publisher:
    """The Sink of a feed: gives each record (epoch, sequence), contiguous per topic and symbol, and sends it.

    A record that can't be sent would be a hole: after the first failure nothing more of the epoch goes out,
    `failed` is set and the supervisor starts a new epoch.  Between `down` and the next `begin` everything
    that a source still delivers is dropped.

    A gap of one book ends nothing: readers see it in the numbers, and its deltas are dropped until its next
    snapshot, which follows in the same epoch."""

    def __init__(
        self,
        exchange: str,
        partitions: Mapping[str, int],
        send: Send,
        *,
        check_ticks: bool = True,
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """partitions: this feed's canonical symbols -> partition in the exchange's raw topics; check_ticks: a price
        that isn't a multiple of its instrument's tick is a gap.

        Nanoseconds of both clocks: `clock` stamps records, and may be set; how long ago something was is measured
        with `steady`."""
        self.exchange = exchange
        self.book_topic = f"{exchange}-orderbook"
        self.trade_topic = f"{exchange}-trades"
        self.epoch = -1
        self.failed = asyncio.Event()
        self.failure = ""
        self.gaps: dict[str, Gap] = {}
        """Books that wait for a snapshot because of a gap, the first to have one first."""
        self.noted = asyncio.Event()
        """Something for the supervisor: a failure, or a gap."""
        self.gap_count = 0
        """Gaps marked, all epochs."""
        self.off_tick = 0
        """Book records with a price that isn't a multiple of the tick, all epochs; none was sent."""
        self.messages = 0
        """Book and trade records sent, all epochs."""
        self.errors = 0
        """Records that couldn't be published."""
        self.ignored = 0
        """Deliveries for a symbol that isn't this feed's."""
        self.last_message_time: int | None = None
        self.last_alive = 0
        """Receipt time of the last sign of life."""
        self._alive_at = steady()
        self._open = False
        self._symbols = {symbol: Numbers(symbol, partition) for symbol, partition in partitions.items()}
        self._send = send
        self._check_ticks = check_ticks
        self._clock = clock
        self._steady = steady
        self._encode = msgspec.json.Encoder().encode

    @property
    def is_synced(self) -> bool:
        """Every symbol that the exchange serves has had its snapshot in this epoch."""
        served = [state for state in self._symbols.values() if not state.unavailable]
        return bool(served) and all(state.synced for state in served)

    @property
    def quiet_seconds(self) -> float:
        """Since the last sign of life of the connection."""
        return (self._steady() - self._alive_at) / 1e9

    @property
    def unavailable_symbols(self) -> dict[str, str]:
        return {symbol: state.unavailable for symbol, state in self._symbols.items() if state.unavailable}

    def begin(self, epoch: int) -> None:
        """Number what follows from 0 in `epoch`, which must be higher than any before."""
        if epoch <= self.epoch:
            raise ValueError(f"epoch {epoch} of {self.exchange} isn't above the last one, {self.epoch}")
        self.epoch = epoch
        self.failure = ""
        self.failed.clear()
        self.gaps.clear()
        self.alive(self._clock())
        for state in self._symbols.values():
            state.reset()
        self._open = True

    def book(
        self,
        symbol: str,
        *,
        snapshot: bool,
        bids: list[Level],
        asks: list[Level],
        exchange_time: float | str | None,
        receipt_time: int,
        exchange_sequence: int | None = None,
        checksum: int | str | None = None,
        depth: int | None = None,
    ) -> None:
        state = self._accept(symbol)
        if state is None or (state.gapped and not snapshot):
            return
        record = RawBook(
            exchange=self.exchange,
            symbol=symbol,
            epoch=self.epoch,
            sequence=state.book_sequence + 1,
            receipt_time=receipt_time,
            snapshot=snapshot,
            bids=bids,
            asks=asks,
            exchange_time=exchange_time,
            exchange_sequence=exchange_sequence,
            checksum=checksum,
            depth=depth,
        )
        off = ""
        try:
            check_book(record)
            if state.tick is not None:
                off = state.tick.first_off(bids) or state.tick.first_off(asks)
        except NormalizeError as error:  # a dead letter: readers would see the hole with the next record only
            self.gap(symbol, f"unusable record: {error}")
            return
        except Exception as error:
            self._fail(symbol, error)
            return
        tick = state.tick
        if tick is not None and off:
            self.off_tick += 1
            if not snapshot:
                reason = f"price {off} is not a multiple of the tick {tick.text}"
                self.gap(symbol, reason, doubts_instrument=True)
                return
            # The exchange says so: orders from before its tick grew are still in the book.
            logger.warning(
                "%s %s: the snapshot has price %s, no multiple of the tick %s: it is believed, finer prices with it",
                self.exchange,
                symbol,
                off,
                tick.text,
            )
            state.tick = tick.fitting([*bids, *asks])
        if self._publish(self.book_topic, state, record):
            state.book_sequence += 1
            state.last_sent = self._steady()
            if snapshot:
                state.snapshot(self._clock())
                self.gaps.pop(symbol, None)
            self._count(receipt_time)

    def trade(
        self,
        symbol: str,
        *,
        side: str,
        price: str,
        size: str,
        trade_id: str | None,
        order_type: str | None,
        exchange_time: float | str | None,
        receipt_time: int,
    ) -> None:
        state = self._accept(symbol)
        if state is None:
            return
        record = RawTrade(
            exchange=self.exchange,
            symbol=symbol,
            epoch=self.epoch,
            sequence=state.trade_sequence + 1,
            receipt_time=receipt_time,
            side=side,
            price=price,
            size=size,
            trade_id=trade_id,
            order_type=order_type,
            exchange_time=exchange_time,
        )
        if self._publish(self.trade_topic, state, record):
            state.trade_sequence += 1
            self._count(receipt_time)

    def instrument(self, symbol: str, listing: Listing, *, receipt_time: int) -> None:
        state = self._accept(symbol)
        if state is None:
            return
        record = RawInstrument(
            exchange=self.exchange,
            symbol=symbol,
            epoch=self.epoch,
            sequence=state.instrument_sequence + 1,
            receipt_time=receipt_time,
            listing=listing,
        )
        try:
            canonical = normalize(record)
        except NormalizeError as error:  # a dead letter; the book is none the worse for it
            logger.warning("%s %s: unusable instrument: %s", self.exchange, symbol, error)
            return
        assert isinstance(canonical, Instrument)
        if self._publish(self.book_topic, state, record):
            state.instrument_sequence += 1
            tick = canonical.listing.tick
            state.tick = Tick(tick) if tick and self._check_ticks else None

    def alive(self, receipt_time: int) -> None:
        self.last_alive, self._alive_at = receipt_time, self._steady()

    def gap(self, symbol: str, reason: str, *, doubts_instrument: bool = False) -> None:
        """Mark the gap for readers at once: a heartbeat beyond the number of a record that never comes.

        Every reader already takes that as a loss and believes nothing until the next snapshot, however late
        or often the mark itself arrives; a `down` would close the epoch, and with it the way back."""
        state = self._accept(symbol)
        if state is None or state.unavailable:
            return
        if known := self.gaps.get(symbol):
            known.reason, known.times = reason, known.times + 1
            known.doubts_instrument = known.doubts_instrument or doubts_instrument
        else:
            self.gaps[symbol] = Gap(reason, doubts_instrument=doubts_instrument)
            self.gap_count += 1
        if state.synced:
            state.synced = False
            state.book_sequence += 1
            self._beat(symbol, state)
        state.gapped = True
        self.noted.set()

    def wants(self, symbol: str, sequence: int, time: int) -> bool:
        """Whether a reader that was at `sequence`, at event time `time`, when it asked for a snapshot needs one.

        Not while its subscription has had none, nor when one has overtaken the request: a reader that is
        behind would break its book again and again, each time just before it would have been healed."""
        return self._symbols[symbol].wants(sequence, time, self._clock())

    def unavailable(self, symbol: str, reason: str) -> None:
        state = self._accept(symbol)
        if state is None:
            return
        state.unavailable = reason
        self._send_down(symbol, state, reason)

    def down(self, reason: str) -> bool:
        """End the epoch: a `down` record for every symbol, at once.

        False if a record couldn't be sent (Kafka is away): call `repeat_down` until it says True."""
        self._open = False
        return self.repeat_down(reason)

    def repeat_down(self, reason: str) -> bool:
        sent = [self._send_down(symbol, state, reason) for symbol, state in self._symbols.items()]
        return all(sent)

    def heartbeat(self, interval_ns: int) -> None:
        """A heartbeat for each book that had no record for `interval_ns`, if the connection shows life."""
        now = self._steady()
        if not self._open or self.failure or now - self._alive_at > 2 * interval_ns:
            return
        for symbol, state in self._symbols.items():
            is_due = now - state.last_sent >= interval_ns
            if is_due and (state.synced or state.gapped) and not self._beat(symbol, state):
                return

    def _beat(self, symbol: str, state: Numbers) -> bool:
        record = RawHeartbeat(
            exchange=self.exchange,
            symbol=symbol,
            epoch=self.epoch,
            sequence=state.book_sequence,
            receipt_time=self.last_alive,  # what it tells of: the book's silence is counted from there
            reason=gap.reason if (gap := self.gaps.get(symbol)) else "",
        )
        if not self._publish(self.book_topic, state, record):
            return False
        state.last_sent = self._steady()
        return True

    def _accept(self, symbol: str) -> Numbers | None:
        if not self._open or self.failure:
            return None
        state = self._symbols.get(symbol)
        if state is None:
            self.ignored += 1
        return state

    def _publish(self, topic: str, state: Numbers, record: Raw) -> bool:
        """Whether the record went out; if not, the epoch has failed."""
        try:
            self._send(topic, state.partition, state.key, self._encode(record))
        except Exception as error:
            self._fail(record.symbol, error)
            return False
        return True

    def _send_down(self, symbol: str, state: Numbers, reason: str) -> bool:
        record = RawDown(
            exchange=self.exchange,
            symbol=symbol,
            epoch=self.epoch,
            sequence=state.book_sequence,
            receipt_time=self._clock(),
            reason=reason,
        )
        try:
            self._send(self.book_topic, state.partition, state.key, self._encode(record))
        except Exception as error:
            logger.debug("%s %s: the down record has to wait: %r", self.exchange, symbol, error)
            return False
        state.last_sent = self._steady()
        return True

    def _count(self, receipt_time: int) -> None:
        self.messages += 1
        self.last_message_time = receipt_time
        self.alive(receipt_time)

    def _fail(self, symbol: str, error: Exception) -> None:
        self.errors += 1
        if isinstance(error, BufferError):
            self.failure = f"Kafka takes no more records: {error}"
        else:
            self.failure = f"{symbol}: {error!r}"
            logger.error("%s %s: a record couldn't be published", self.exchange, symbol, exc_info=error)
        self.failed.set()
        self.noted.set()
