"""The states of an order book, transition by transition, and its form in the table."""

from __future__ import annotations

import msgspec
import pytest

from tables.order_books import Effect, OrderBook
from tradeflow.messages import Delta, Down, Heartbeat, Snapshot

PLACE = {"exchange": "kraken", "symbol": "BTC-USDT"}
LIMIT = 5_000


def snapshot(sequence, *, epoch=1, bids=(("100", "1"),), asks=(("101", "1"),), time=1_000, **fields):
    return Snapshot(
        **PLACE, epoch=epoch, sequence=sequence, receipt_time=time, bids=list(bids), asks=list(asks), **fields
    )


def delta(sequence, *, epoch=1, bids=(), asks=(), time=2_000, **fields):
    return Delta(
        **PLACE, epoch=epoch, sequence=sequence, receipt_time=time, bids=list(bids), asks=list(asks), **fields
    )


def heartbeat(sequence, *, epoch=1, time=3_000):
    return Heartbeat(**PLACE, epoch=epoch, sequence=sequence, receipt_time=time)


def down(sequence=0, *, epoch=1, time=3_000):
    return Down(**PLACE, epoch=epoch, sequence=sequence, receipt_time=time, reason="reset by peer")


def live_book(**fields) -> OrderBook:
    book = OrderBook(**PLACE, silence_ns=LIMIT)
    assert book.snapshot(snapshot(0, **fields), 1_000) is Effect.APPLIED
    assert book.live
    return book


def test_a_new_book_waits_for_its_snapshot():
    book = OrderBook(**PLACE)
    assert (book.state, book.reason, book.epoch, book.sequence) == (
        "syncing",
        "waits for the first snapshot",
        -1,
        -1,
    )
    assert book.heartbeat(heartbeat(-1), 10) is Effect.HEARD
    assert (book.state, book.reason, book.since) == ("syncing", "waits for the snapshot of epoch 1", 10)


def test_snapshot_and_next_delta_are_applied():
    book = live_book(exchange_sequence=41, exchange_time=900)
    assert (book.reason, book.since, book.exchange_sequence, book.exchange_time) == ("", 1_000, 41, 900)
    assert (
        book.delta(delta(1, bids=[("100.5", "2")], exchange_sequence=42, exchange_time=1_900), 2_000)
        is Effect.APPLIED
    )
    assert book.book.best_bid == ("100.5", "2")
    assert (book.sequence, book.exchange_sequence, book.exchange_time) == (1, 42, 1_900)
    assert (book.receipt_time, book.heard, book.since) == (2_000, 2_000, 1_000)


@pytest.mark.parametrize(
    "again", [snapshot(0), delta(0), snapshot(3, epoch=0), delta(1, epoch=0), down(epoch=0)]
)
def test_what_was_seen_before_changes_nothing(again):
    book = live_book()
    before = book.encode()
    apply = {Snapshot: book.snapshot, Delta: book.delta}.get(type(again))
    effect = apply(again, 9_000) if apply else book.down(again, again.reason, 9_000)
    assert effect is Effect.DUPLICATE
    assert book.encode() == before


def test_a_hole_breaks_the_book_until_the_next_snapshot():
    book = live_book()
    assert book.delta(delta(3, bids=[("100.5", "2")]), 2_000) is Effect.GAP
    assert (book.state, book.reason, book.since) == ("broken", "gap: have 0, got 3 of epoch 1", 2_000)
    assert book.book.best_bid == ("100", "1"), "nothing of a record beyond the hole may be in the book"
    assert book.delta(delta(1), 2_100) is Effect.UNUSABLE, "the missing record, late, does not repair it"
    assert book.heartbeat(heartbeat(3), 3_000) is Effect.UNUSABLE
    assert (book.state, book.since) == ("broken", 2_000)
    assert book.snapshot(snapshot(4, time=4_000), 4_000) is Effect.APPLIED
    assert (book.state, book.reason, book.since, book.sequence) == ("live", "", 4_000, 4)


def test_a_heartbeat_tells_of_a_record_that_never_came():
    book = live_book()
    assert book.heartbeat(heartbeat(0, time=1_500), 1_500) is Effect.HEARD
    assert book.heartbeat(heartbeat(2, time=1_600), 1_600) is Effect.GAP
    assert (book.state, book.reason) == ("broken", "gap: have 0, got 2 of epoch 1")


def test_a_delta_of_an_unknown_epoch_breaks_the_book():
    book = live_book()
    assert book.delta(delta(0, epoch=2, bids=[("100", "9")]), 2_000) is Effect.GAP
    assert (book.state, book.reason) == ("broken", "gap: have no snapshot, got 0 of epoch 2")
    assert book.book.best_bid == ("100", "1"), "nothing of the new epoch may be mixed into the old levels"
    assert book.snapshot(snapshot(5, epoch=1), 3_000) is Effect.DUPLICATE, "the older epoch is over"


def test_a_new_epoch_keeps_the_last_levels_marked_until_its_snapshot():
    """Readers rather see where the market was, and when, than nothing; none takes it for the present book."""
    book = live_book(exchange_sequence=41, exchange_time=900)
    last = book.book.top(9)
    for time in (3_000, 3_050):
        assert book.heartbeat(heartbeat(-1, epoch=2, time=time), time) is Effect.HEARD
        assert (book.state, book.epoch, book.sequence) == ("syncing", 2, -1)
        assert (book.book.top(9), book.receipt_time) == (last, 1_000)
        assert (book.exchange_sequence, book.exchange_time) == (41, 900), "of the levels that are there"
    assert book.delta(delta(0, epoch=2, bids=[("100", "9")], time=3_060), 3_060) is Effect.GAP
    assert book.delta(delta(1, epoch=2, time=3_070), 3_070) is Effect.UNUSABLE
    assert (book.state, book.book.top(9)) == ("broken", last)
    assert book.snapshot(snapshot(2, epoch=2, bids=[("98", "1")], time=3_100), 3_100) is Effect.APPLIED
    assert book.live and book.book.top(9) == ([("98", "1")], [("101", "1")])
    assert (book.exchange_sequence, book.exchange_time) == (None, None)


def test_failed_attempts_to_reconnect_leave_the_last_levels_stale():
    """Each attempt is an epoch of its own that ends before its snapshot."""
    book = live_book()
    book.down(down(), "reset by peer", 3_000)
    for epoch in (2, 3, 4):
        assert book.down(down(-1, epoch=epoch, time=4_000), "refused", 4_000) is Effect.HEARD
        assert (book.state, book.reason, book.epoch) == ("stale", "down: refused", epoch)
        assert not book.silence(99_000) and not book.live
        assert (book.book.best_bid, book.receipt_time) == (("100", "1"), 1_000)
        again = OrderBook.decode(book.encode())
        assert (again.state, again.book.best_bid, again.receipt_time) == ("stale", ("100", "1"), 1_000)
    assert book.heartbeat(heartbeat(-1, epoch=5, time=5_000), 5_000) is Effect.HEARD
    assert book.state == "syncing", "a sign of life of a new epoch makes no old level live"
    assert book.snapshot(snapshot(0, epoch=5, bids=[("99", "1")], time=6_000), 6_000) is Effect.APPLIED
    assert book.live and book.book.best_bid == ("99", "1")


def test_down_closes_the_epoch():
    book = live_book()
    assert book.down(down(), "reset by peer", 3_000) is Effect.HEARD
    assert (book.state, book.reason, book.since) == ("stale", "down: reset by peer", 3_000)
    assert book.book.best_bid == ("100", "1"), "the last levels stay, marked"
    for late in (delta(1), delta(7)):
        assert book.delta(late, 3_100) is Effect.DUPLICATE
    assert book.snapshot(snapshot(1), 3_100) is Effect.DUPLICATE
    assert book.heartbeat(heartbeat(0, time=3_200), 3_200) is Effect.DUPLICATE
    assert book.down(down(), "again", 3_300) is Effect.DUPLICATE
    assert (book.state, book.reason) == ("stale", "down: reset by peer")
    assert book.snapshot(snapshot(0, epoch=2), 3_400) is Effect.APPLIED
    assert book.live


def test_a_broken_book_whose_exchange_goes_down_is_stale():
    book = live_book()
    book.delta(delta(3), 2_000)
    assert book.down(down(), "reset by peer", 3_000) is Effect.HEARD
    assert book.state == "stale"


def test_down_of_an_epoch_never_seen():
    book = live_book()
    assert book.down(down(-1, epoch=4), "handshake failed", 3_000) is Effect.HEARD
    assert (book.state, book.epoch, book.sequence, book.closed) == ("stale", 4, -1, True)
    assert book.snapshot(snapshot(0, epoch=4), 3_100) is Effect.DUPLICATE


def test_silence():
    book = live_book(time=1_000)
    assert not book.silence(1_000 + LIMIT)
    assert book.silence(1_001 + LIMIT)
    assert (book.state, book.since) == ("stale", 1_001 + LIMIT)
    assert book.reason == "silent for more than 5e-06 s"
    assert not book.silence(9_000 + LIMIT), "it is stale already"


def test_a_silent_book_comes_back_with_its_next_record():
    book = live_book(time=1_000)
    book.silence(2_000 + LIMIT)
    assert book.heartbeat(heartbeat(0, time=900), 8_000) is Effect.DUPLICATE, (
        "an old heartbeat is no sign of life"
    )
    assert (book.state, book.heard) == ("stale", 1_000)
    assert book.heartbeat(heartbeat(0, time=9_000), 9_000) is Effect.HEARD
    assert (book.state, book.since) == ("live", 9_000)
    book.silence(15_000)
    assert book.delta(delta(1, asks=[("101", "5")], time=16_000), 16_000) is Effect.APPLIED
    assert book.live


def test_what_comes_late_makes_no_book_live():
    """After a pause a log is caught up with: its old records are applied, and not acted on."""
    book = live_book(time=1_000)
    assert book.delta(delta(1, asks=[("102", "5")], time=2_000), 2_001 + LIMIT) is Effect.APPLIED
    assert (book.state, book.since, book.sequence) == ("stale", 2_001 + LIMIT, 1)
    assert book.delta(delta(2, asks=[("102", "6")], time=3_000), 9_000 + LIMIT) is Effect.APPLIED
    assert (book.state, book.since) == ("stale", 2_001 + LIMIT), "all the while"
    assert book.snapshot(snapshot(3, time=4_000), 9_001 + LIMIT) is Effect.APPLIED
    assert book.state == "stale"
    assert book.delta(delta(4, time=9_002), 9_002 + LIMIT) is Effect.APPLIED
    assert (book.state, book.since) == ("live", 9_002 + LIMIT)


def test_a_silent_book_with_a_hole_is_broken():
    book = live_book(time=1_000)
    book.silence(2_000 + LIMIT)
    assert book.delta(delta(2, time=9_000), 9_000) is Effect.GAP
    assert book.state == "broken"


def test_a_crossed_book_is_broken_not_repaired():
    book = live_book()
    assert book.delta(delta(1, bids=[("101", "1")]), 2_000) is Effect.APPLIED
    assert (book.state, book.reason) == ("broken", "crossed: bid 101 is not below ask 101")
    assert book.delta(delta(2, bids=[("101", "0")]), 2_100) is Effect.UNUSABLE
    assert book.state == "broken"
    assert book.snapshot(snapshot(3, bids=[("102", "1")]), 2_200) is Effect.APPLIED
    assert (book.state, book.reason) == ("broken", "crossed: bid 102 is not below ask 101")


def test_an_empty_side_is_broken():
    book = live_book()
    book.delta(delta(1, asks=[("101", "0")]), 2_000)
    assert (book.state, book.reason) == ("broken", "empty side: 1 bids, 0 asks")
    assert book.snapshot(snapshot(2, bids=()), 2_200) is Effect.APPLIED
    assert (book.state, book.reason) == ("broken", "empty side: 0 bids, 1 asks")


def test_levels_beyond_the_exchanges_depth_are_cut_after_each_delta():
    bids, asks = [("100", "1"), ("99", "1")], [("101", "1"), ("102", "1")]
    book = live_book(bids=bids, asks=asks, depth=2)
    book.delta(delta(1, bids=[("100.5", "1")], asks=[("100.7", "1")]), 2_000)
    assert [price for price, _ in book.book.top(9)[0]] == ["100.5", "100"]
    assert [price for price, _ in book.book.top(9)[1]] == ["100.7", "101"]
    book.delta(delta(2, bids=[("100.5", "0")], depth=1), 2_000)
    assert book.book.depth == (1, 1)


def test_a_book_of_which_nothing_is_left_is_broken():
    book = live_book(bids=[("100", "1"), ("99", "1")])
    book.delta(delta(1, bids=[("99", "2")], depth=0), 2_000)
    assert (book.state, book.reason) == ("broken", "empty side: 0 bids, 0 asks")


def test_an_unusable_delta_is_a_sign_of_life():
    book = live_book(time=1_000)
    with pytest.raises(ValueError, match="invalid literal"):
        book.delta(delta(1, bids=[("1.2.3", "1")], time=2_000), 2_000)
    assert book.heard == 2_000


def jumpy_book(**fields) -> OrderBook:
    book = OrderBook(**PLACE, silence_ns=LIMIT, max_jump=0.5)
    book.snapshot(snapshot(0, **fields), 1_000)
    assert book.live
    return book


def test_an_absurd_jump_breaks_the_book_until_the_exchange_has_sent_it_anew():
    book = jumpy_book()
    book.delta(delta(1, bids=[("100.5", "1")]), 2_000)
    assert book.live, "a step like any other"
    assert book.delta(delta(2, asks=[("101", "0"), ("1010", "1")]), 2_000) is Effect.APPLIED
    assert book.state == "broken"
    assert book.reason == "jump: from a mid of about 100.75 to bid 100.5, ask 1010 at once"
    assert book.delta(delta(3, asks=[("101", "1")]), 2_000) is Effect.UNUSABLE, "nothing is repaired by guess"
    book.snapshot(snapshot(4, bids=[("900", "1")], asks=[("1010", "1")]), 2_000)
    assert book.live, "the exchange says that it is there"
    book.delta(delta(5, bids=[("901", "1")]), 2_000)
    assert book.live


def test_many_steps_are_no_jump():
    book = jumpy_book(bids=[("100", "1")], asks=[("110", "1")])
    for sequence, price in enumerate(range(105, 1_000, 5), 1):
        book.delta(
            delta(sequence, bids=[(str(price), "1")], asks=[(str(price + 5), "0"), (str(price + 10), "1")]),
            2_000,
        )
        assert book.live


def test_a_jump_is_told_after_a_restart_as_well():
    book = jumpy_book()
    again = OrderBook(**PLACE, silence_ns=LIMIT, max_jump=0.5)
    again.load(book.encode())
    for one in (book, again):
        one.delta(delta(1, asks=[("101", "0"), ("1010", "1")]), 2_000)
        assert one.state == "broken"


def test_by_default_any_jump_is_believed():
    book = live_book()
    book.delta(delta(1, asks=[("101", "0"), ("1010", "1")]), 2_000)
    assert book.live


def test_what_the_exchange_has_confirmed_and_when():
    assert OrderBook(**PLACE).last_verified is None
    book = live_book()
    assert book.last_verified == 1_000
    book.delta(delta(1, bids=[("99", "1")], time=2_000), 2_500)
    book.heartbeat(heartbeat(1, time=2_600), 2_600)
    assert book.last_verified == 1_000, "no checksum"
    book.delta(delta(2, bids=[("98", "1")], time=3_000, checksum=7), 3_500)
    assert book.last_verified == 3_500, "event time"
    book.delta(delta(4, checksum=8), 4_000)
    book.delta(delta(5, checksum=9), 4_500)
    book.down(down(5, time=5_000), "eof", 5_000)
    assert book.last_verified == 3_500, "nothing of that is in the book"
    book.snapshot(snapshot(0, epoch=2, time=6_000), 6_100)
    assert book.last_verified == 6_100


def test_rows_of_older_versions_are_loaded():
    book = live_book()
    row = msgspec.json.decode(book.encode())
    assert row.pop("last_verified") == 1_000
    again = OrderBook.decode(msgspec.json.encode(row))
    assert again.live and again.last_verified is None
    assert again.delta(delta(1, bids=[("99", "1")]), 2_000) is Effect.APPLIED


def test_encode_decode_is_the_same_book():
    book = live_book(bids=[("100", "1"), ("99.123456789012345678", "0.5")], exchange_sequence=7, depth=10)
    book.offset, book.published, book.pending, book.asked = 77, 5, True, 6
    again = OrderBook.decode(book.encode())
    for name in OrderBook.__slots__:
        if name not in ("book", "silence_ns"):
            assert getattr(again, name) == getattr(book, name), name
    assert again.book.top(9) == book.book.top(9)
    assert again.encode() == book.encode()


def test_equal_books_have_equal_bytes():
    """However their levels came: a checkpoint's bytes say whether two states are the same."""
    one = live_book(bids=[("100", "1"), ("99", "2"), ("98", "3")])
    two = live_book(bids=[("98", "3"), ("100", "7"), ("99", "2")])
    two.book.update([("100", "0")], [])
    two.book.update([("100", "1")], [])
    assert one.encode() == two.encode()


def test_a_huge_book_stays_below_kafkas_megabyte():
    bids = [(f"{60000 - i / 100:.2f}", f"0.{i:08d}1") for i in range(40_000)]
    book = live_book(
        bids=[(price.rstrip("0").rstrip("."), size) for price, size in bids], asks=[("60001", "1")]
    )
    value = book.encode()
    assert len(value) < 1_000_000
    assert OrderBook.decode(value).book.top(50_000) == book.book.top(50_000)


def test_decode_refuses_other_bytes():
    with pytest.raises(msgspec.DecodeError):
        OrderBook.decode(b'{"exchange": 1}')
