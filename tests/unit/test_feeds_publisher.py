"""The numbers that a publisher gives, and what happens when a record can't be sent."""

from __future__ import annotations

import pytest
from feed_server import Sent

from tables.order_books import OrderBook
from tradeflow.feeds.numbers import Gap
from tradeflow.feeds.publisher import Publisher
from tradeflow.messages import Listing, RawBook, RawDown, RawHeartbeat, RawInstrument, RawTrade

SECOND = 1_000_000_000
PARTITIONS = {"BTC-USDT": 0, "ETH-USDT": 3}


class Clock:
    now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def kafka():
    return Sent()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def publisher(kafka, clock):
    publisher = Publisher("binance", PARTITIONS, kafka.send, clock=clock, steady=clock)
    publisher.begin(41)
    return publisher


def book(publisher, symbol="BTC-USDT", snapshot=False, bids=(("1", "2"),), at=1_000 * SECOND):
    publisher.book(
        symbol,
        snapshot=snapshot,
        bids=list(bids),
        asks=[],
        exchange_time=1633998511.123,
        receipt_time=at,
        exchange_sequence=5,
    )


def trade(publisher, symbol="BTC-USDT"):
    publisher.trade(
        symbol,
        side="buy",
        price="1",
        size="2",
        trade_id="t",
        order_type=None,
        exchange_time="2026-01-01T00:00:00Z",
        receipt_time=7,
    )


def test_records_are_numbered_per_topic_and_symbol(publisher, kafka):
    book(publisher, snapshot=True)
    book(publisher)
    book(publisher, "ETH-USDT", snapshot=True)
    trade(publisher)
    book(publisher)
    assert [r.sequence for r in kafka.of(RawBook)] == [0, 1, 2]
    assert [r.sequence for r in kafka.of(RawBook, "ETH-USDT")] == [0]
    assert [r.sequence for r in kafka.of(RawTrade)] == [0]
    assert {(topic, partition, key) for topic, partition, key, _ in kafka.records} == {
        ("binance-orderbook", 0, b"BTC-USDT"),
        ("binance-orderbook", 3, b"ETH-USDT"),
        ("binance-trades", 0, b"BTC-USDT"),
    }
    first = kafka.records[0][3]
    assert first == RawBook(
        exchange="binance",
        symbol="BTC-USDT",
        epoch=41,
        sequence=0,
        receipt_time=1_000 * SECOND,
        snapshot=True,
        bids=[("1", "2")],
        asks=[],
        exchange_time=1633998511.123,
        exchange_sequence=5,
    )


SPOT = Listing(kind="spot", base="BTC", quote="USDT", tick="0.010", lot="1")


def test_instruments_are_numbered_apart_in_each_epoch(publisher, kafka):
    publisher.instrument("BTC-USDT", SPOT, receipt_time=5)
    book(publisher, snapshot=True)
    publisher.instrument("BTC-USDT", SPOT, receipt_time=6)
    publisher.down("cut")
    publisher.instrument("BTC-USDT", SPOT, receipt_time=7)
    publisher.begin(42)
    publisher.instrument("BTC-USDT", SPOT, receipt_time=8)
    told = kafka.of(RawInstrument)
    assert [(one.epoch, one.sequence, one.receipt_time) for one in told] == [
        (41, 0, 5),
        (41, 1, 6),
        (42, 0, 8),
    ]
    assert told[0].listing == SPOT and kafka.of(RawBook)[0].sequence == 0
    assert {topic for topic, *_ in kafka.records} == {"binance-orderbook"}


def test_an_instrument_without_a_canonical_form_is_not_sent(publisher, kafka):
    publisher.instrument("BTC-USDT", Listing(kind="spot", base="B", quote="C", tick="-1"), receipt_time=5)
    assert not kafka.records and not publisher.failed.is_set()


def test_a_new_epoch_starts_at_zero_and_must_be_higher(publisher, kafka):
    book(publisher, snapshot=True)
    assert publisher.down("cut")
    publisher.begin(44)
    book(publisher, snapshot=True)
    assert [(r.epoch, r.sequence) for r in kafka.of(RawBook)] == [(41, 0), (44, 0)]
    with pytest.raises(ValueError, match="epoch 44 of binance isn't above the last one, 44"):
        publisher.begin(44)


def test_down_tells_every_symbol_and_closes_the_epoch(publisher, kafka):
    book(publisher, snapshot=True)
    book(publisher)
    assert publisher.down("the exchange closed the connection")
    book(publisher)
    trade(publisher)
    publisher.heartbeat(0)
    downs = kafka.of(RawDown) + kafka.of(RawDown, "ETH-USDT")
    assert [(d.symbol, d.epoch, d.sequence, d.reason) for d in downs] == [
        ("BTC-USDT", 41, 1, "the exchange closed the connection"),
        ("ETH-USDT", 41, -1, "the exchange closed the connection"),
    ]
    assert isinstance(kafka.records[-1][3], RawDown), "nothing may follow a down record"


def test_heartbeats_are_for_quiet_synced_books_on_a_connection_that_lives(publisher, kafka, clock):
    book(publisher, snapshot=True, at=clock.now)
    publisher.heartbeat(SECOND)
    assert not kafka.of(RawHeartbeat), "it isn't quiet yet"
    clock.now += SECOND
    publisher.alive(clock.now)
    publisher.heartbeat(SECOND)
    publisher.heartbeat(SECOND)
    assert [(h.epoch, h.sequence, h.receipt_time) for h in kafka.of(RawHeartbeat)] == [(41, 0, clock.now)]
    assert not kafka.of(RawHeartbeat, "ETH-USDT"), "it never had a snapshot"
    clock.now += 2 * SECOND
    publisher.heartbeat(SECOND)
    assert kafka.of(RawHeartbeat)[-1].receipt_time == clock.now - 2 * SECOND, "as of the last sign of life"
    clock.now += SECOND
    publisher.heartbeat(SECOND)
    assert len(kafka.of(RawHeartbeat)) == 2, "no sign of life since: nothing may be claimed"


@pytest.mark.parametrize("step", [-3600 * SECOND, 3600 * SECOND])
def test_heartbeats_go_by_a_clock_that_nobody_sets(kafka, step):
    wall, steady = Clock(), Clock()
    publisher = Publisher("binance", PARTITIONS, kafka.send, clock=wall, steady=steady)
    publisher.begin(41)
    book(publisher, snapshot=True, at=wall.now)
    wall.now += step
    steady.now += SECOND
    publisher.alive(wall.now)
    publisher.heartbeat(SECOND)
    assert [h.receipt_time for h in kafka.of(RawHeartbeat)] == [wall.now], (
        "quiet for a second, not for an hour"
    )
    wall.now -= step
    steady.now += SECOND
    publisher.heartbeat(SECOND)
    assert len(kafka.of(RawHeartbeat)) == 2
    steady.now += 2 * SECOND
    publisher.heartbeat(SECOND)
    assert len(kafka.of(RawHeartbeat)) == 2, "no sign of life since: nothing may be claimed"
    assert publisher.quiet_seconds == 3


def test_a_clock_that_was_set_back_does_not_hold_resyncs_up(publisher, clock):
    whole(publisher)
    clock.now -= 3600 * SECOND
    assert publisher.wants("BTC-USDT", -1, clock.now)


def test_a_record_that_cannot_be_sent_ends_the_epoch(publisher, kafka):
    book(publisher, snapshot=True)
    kafka.room = 1
    book(publisher)
    kafka.room = 10**9
    book(publisher)
    trade(publisher)
    assert publisher.failed.is_set()
    assert publisher.failure == "Kafka takes no more records: 67108864 bytes wait for Kafka"
    assert [r.sequence for r in kafka.of(RawBook)] == [0], (
        "what follows the hole would be applied as if whole"
    )
    publisher.down(publisher.failure)
    publisher.begin(50)
    assert not publisher.failed.is_set() and not publisher.failure


def test_a_down_that_cannot_be_sent_is_repeated_until_it_is(publisher, kafka):
    kafka.room = 1
    assert not publisher.down("cut")
    kafka.room = 10**9
    assert publisher.repeat_down("cut")
    assert {d.symbol for *_, d in kafka.records} == {"BTC-USDT", "ETH-USDT"}


def test_a_record_that_cannot_be_encoded_raises_nothing_but_ends_the_epoch(publisher, kafka):
    book(publisher, bids=[("1", object())])
    assert publisher.failed.is_set() and publisher.failure.startswith("BTC-USDT: TypeError(")
    assert publisher.errors == 1


def test_a_symbol_of_another_feed_is_counted_and_dropped(publisher, kafka):
    book(publisher, "DOGE-USDT")
    assert publisher.ignored == 1 and not kafka.records and not publisher.failed.is_set()


def test_an_unavailable_symbol_is_down_and_does_not_hold_the_others_back(publisher, kafka):
    publisher.unavailable("ETH-USDT", "binance doesn't list ETH-USDT")
    assert not publisher.is_synced
    book(publisher, snapshot=True)
    assert publisher.is_synced
    assert [d.reason for d in kafka.of(RawDown, "ETH-USDT")] == ["binance doesn't list ETH-USDT"]
    assert publisher.unavailable_symbols == {"ETH-USDT": "binance doesn't list ETH-USDT"}


def read(kafka, symbol="BTC-USDT") -> OrderBook:
    """The book that a reader makes of what was sent."""
    order_book = OrderBook("binance", symbol)
    for topic, *_, record in kafka.records:
        if topic != "binance-orderbook" or record.symbol != symbol:
            continue
        if isinstance(record, RawHeartbeat):
            order_book.heartbeat(record, record.receipt_time)
        elif isinstance(record, RawInstrument):
            pass
        elif record.snapshot:
            order_book.snapshot(record, record.receipt_time)
        else:
            order_book.delta(record, record.receipt_time)
    return order_book


def whole(publisher, symbol="BTC-USDT"):
    levels = {"bids": [("1", "2")], "asks": [("2", "2")]}
    publisher.book(symbol, snapshot=True, exchange_time=None, receipt_time=1_000 * SECOND, **levels)


def test_a_gap_breaks_that_book_for_every_reader_until_its_next_snapshot(publisher, kafka):
    whole(publisher)
    whole(publisher, "ETH-USDT")
    book(publisher)
    assert read(kafka).live
    publisher.gap("BTC-USDT", "checksum 1 where kraken says 2")
    assert publisher.noted.is_set() and not publisher.failed.is_set()
    broken = read(kafka)
    assert broken.state == "broken"
    assert broken.reason == "gap: have 1, got 2 of epoch 41: checksum 1 where kraken says 2"
    for _ in range(2):
        book(publisher)  # of the old subscription, late
        publisher.gap("BTC-USDT", "still")
    assert read(kafka).state == "broken" and len(kafka.of(RawBook)) == 2
    assert publisher.gaps == {"BTC-USDT": Gap("still", times=3)} and publisher.gap_count == 1
    whole(publisher)
    book(publisher)
    healed = read(kafka)
    assert (healed.state, healed.epoch, healed.sequence) == ("live", 41, 4)
    assert not publisher.gaps
    assert read(kafka, "ETH-USDT").live and not kafka.of(RawDown, "ETH-USDT"), "the other never knew"


def test_the_mark_is_repeated_for_readers_that_missed_it(publisher, kafka, clock):
    whole(publisher)
    publisher.gap("BTC-USDT", "checksum")
    del kafka.records[-1]
    clock.now += SECOND
    publisher.alive(clock.now)
    publisher.heartbeat(SECOND)
    assert read(kafka).reason == "gap: have 0, got 1 of epoch 41: checksum"


def test_a_gap_before_the_first_snapshot_needs_no_mark(publisher, kafka):
    publisher.gap("BTC-USDT", "checksum of the snapshot")
    assert publisher.gaps and not kafka.records
    book(publisher)
    assert not kafka.records, "deltas are dropped all the same"
    whole(publisher)
    assert [r.sequence for r in kafka.of(RawBook)] == [0] and not publisher.gaps


def test_a_request_that_a_snapshot_has_overtaken_is_void(publisher, clock):
    """However far the reader is behind; what counts is its own time, that of the events it has seen."""
    assert not publisher.wants("BTC-USDT", -1, clock.now), "the first snapshot is on its way"
    whole(publisher)
    assert publisher.wants("BTC-USDT", 0, clock.now)
    publisher.gap("BTC-USDT", "checksum")
    whole(publisher)
    healed = clock.now
    clock.now += 60 * SECOND
    for asked in (healed - SECOND, healed + SECOND):
        assert not publisher.wants("BTC-USDT", 0, asked), "that reader has yet to see the snapshot"
    assert publisher.wants("BTC-USDT", 2, healed - SECOND), "it has seen it, and lost something since"
    assert publisher.wants("BTC-USDT", 0, healed + 5 * SECOND), "the snapshot itself was lost on the way"


def test_a_price_off_the_tick_is_a_gap_that_says_price_and_tick(publisher, kafka):
    publisher.instrument("BTC-USDT", SPOT, receipt_time=5)
    whole(publisher)
    book(publisher, bids=[("1.01", "1"), ("0.50", "2")])
    assert read(kafka).live
    book(publisher, bids=[("1.02", "1"), ("1.015", "1")])
    broken = read(kafka)
    assert broken.state == "broken"
    assert broken.reason == "gap: have 1, got 2 of epoch 41: price 1.015 is not a multiple of the tick 0.01"
    assert "1.02" not in broken.book.bids.sizes, "nothing of that record"
    assert publisher.off_tick == 1 and publisher.gaps["BTC-USDT"].doubts_instrument


def test_off_prices_in_a_snapshot_are_the_exchanges_word(publisher, kafka):
    """Orders from before a tick grew stay where they are: their book is no less the exchange's."""
    publisher.instrument("BTC-USDT", SPOT, receipt_time=5)
    levels = {"bids": [("1.01", "1"), ("1.005", "3")], "asks": [("2", "1")]}
    publisher.book("BTC-USDT", snapshot=True, exchange_time=None, receipt_time=1_000 * SECOND, **levels)
    book(publisher, bids=[("1.005", "0"), ("1.015", "1")])
    served = read(kafka)
    assert served.live and "1.015" in served.book.bids.sizes
    book(publisher, bids=[("1.0151", "1")])
    assert read(kafka).reason.endswith("price 1.0151 is not a multiple of the tick 0.005")
    assert publisher.off_tick == 2
    publisher.instrument("BTC-USDT", Listing(kind="spot", base="B", quote="Q", tick="0.005"), receipt_time=6)
    publisher.book(
        "BTC-USDT",
        snapshot=True,
        bids=[("1.015", "1")],
        asks=[("2", "1")],
        exchange_time=None,
        receipt_time=1,
    )
    assert read(kafka).live, "it goes on with the new tick"


def test_ticks_are_not_checked_where_nobody_has_told_one_or_wants_it(kafka, clock):
    publisher = Publisher("binance", PARTITIONS, kafka.send, check_ticks=False, clock=clock)
    publisher.begin(41)
    publisher.instrument("BTC-USDT", SPOT, receipt_time=5)
    publisher.instrument("ETH-USDT", Listing(kind="spot", base="B", quote="Q"), receipt_time=5)
    for symbol in PARTITIONS:
        book(publisher, symbol, snapshot=True, bids=[("1.015", "1")])
        assert kafka.of(RawBook, symbol)


def test_a_tick_ends_with_its_epoch(publisher, kafka):
    publisher.instrument("BTC-USDT", SPOT, receipt_time=5)
    publisher.down("cut")
    publisher.begin(42)
    book(publisher, snapshot=True, bids=[("1.015", "1")])
    assert kafka.of(RawBook)
