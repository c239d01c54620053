"""Real recorded frames through the sources' parsers, against books that plain code makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from feed_server import Records

from tests.plain_books import CASES, DIRECTORY, Sides, coinbase, kraken_v1, needs_recordings, plain
from tradeflow.feeds.recorded import RecordedSource, Recording
from tradeflow.feeds.registry import make_source
from tradeflow.settings import Settings

pytestmark = needs_recordings


def ladders(books: dict[str, Sides]) -> Iterator[tuple[list[tuple[str, str]], ...]]:
    """Each book's sides in order of price, digits as they are."""
    for bids, asks in books.values():
        yield tuple(
            [(plain(price), plain(size)) for price, size in sorted(side.items(), key=lambda x: Decimal(x[0]))]
            for side in (bids, asks)
        )


@pytest.mark.parametrize("exchange", CASES)
async def test_recorded_books_equal_the_plain_reference(exchange):
    name, make_reference, expected = CASES[exchange]
    recording = Recording(DIRECTORY, name)
    records = Records()
    live = make_source(exchange, recording.symbols, Settings())
    await RecordedSource(live, recording, recorded_times=True).run(records)
    reference = make_reference()

    books = records.of("book")
    deltas = [book for book in books if not book["snapshot"]]
    counts = (
        len(books) - len(deltas),
        len(deltas),
        sum(len(delta["bids"]) + len(delta["asks"]) for delta in deltas),
        len(records.of("trade")),
    )
    assert counts == expected
    # The reference knows the exchange's names; each of its books has exactly one equal among ours.
    ours, theirs = sorted(ladders(records.books)), sorted(ladders(reference.books))
    assert len(ours) == len(recording.symbols)
    for mine, true in zip(ours, theirs, strict=True):
        assert mine == true
        assert min(map(len, mine)) > 0, "a side is empty"
    for book in books:
        for price, size in (*book["bids"], *book["asks"]):
            assert isinstance(price, str) and isinstance(size, str) and "e" not in (price + size).lower()


async def test_differences_to_the_frames_are_known():
    """What a parser drops: removals of levels that the book doesn't hold (Kraken's, OKX's), nothing else."""
    for exchange, (name, make_reference, expected) in CASES.items():
        reference = make_reference().counts
        dropped = reference["levels"] - expected[2]
        assert dropped == (reference["removals of nothing"] if exchange in ("kraken-v1", "okx") else 0), name
    assert coinbase().counts["removals of nothing"] == 52
    assert kraken_v1().counts["checksums"] == 4269


async def test_receipt_times_and_exchange_times_are_the_recorded_ones():
    recording = Recording(DIRECTORY, "COINBASE")
    records = Records()
    live = make_source("coinbase", recording.symbols, Settings())
    await RecordedSource(live, recording, recorded_times=True).run(records)
    snapshot = records.of("book", "BTC-USD")[0]
    assert snapshot["exchange_time"] == "2026-08-09T21:05:48.483587501Z"
    assert snapshot["exchange_sequence"] == 13
    assert abs(snapshot["receipt_time"] - 1786309548848050800) < 1000
    times = [fields["receipt_time"] for _, _, fields in records.events]
    assert times == sorted(times)


@pytest.mark.parametrize("exchange", ["coinbase", "okx", "bitmex"])
async def test_a_trades_side_is_the_takers(exchange):
    """Takers buy at the ask and sell at the bid; between the two, where books lag trades, nobody can tell."""
    recording = Recording(DIRECTORY, CASES[exchange][0])

    class Judge(Records):
        right = wrong = 0

        def trade(self, symbol: str, **fields: Any) -> None:
            super().trade(symbol, **fields)
            bids, asks = self.books.get(symbol, ({}, {}))
            if bids and asks:
                price = Decimal(fields["price"])
                if price >= min(map(Decimal, asks)):
                    self.right += fields["side"] == "buy"
                    self.wrong += fields["side"] == "sell"
                elif price <= max(map(Decimal, bids)):
                    self.right += fields["side"] == "sell"
                    self.wrong += fields["side"] == "buy"

    judge = Judge()
    await RecordedSource(make_source(exchange, recording.symbols, Settings()), recording).run(judge)
    assert judge.right >= 8 and judge.right > 4 * judge.wrong, (judge.right, judge.wrong)


async def test_a_missing_frame_of_coinbase_ends_the_connection():
    recording = Recording(DIRECTORY, "COINBASE")
    frames = list(recording.frames())
    recording.frames = lambda: iter(frames[:500] + frames[501:])  # type: ignore[method-assign]
    live = make_source("coinbase", recording.symbols, Settings())
    with pytest.raises(Exception, match="sequence_num 501 follows 499"):
        await RecordedSource(live, recording).run(Records())
