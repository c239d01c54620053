"""Each live source against the simulator over real WebSockets: the true books, stamped with their true times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from feed_server import Records, until
from feed_simulator import SYMBOLS, Simulator, nanoseconds, numbers, simulated


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with simulated() as one:
        yield one


class Samples(Records):
    """Keeps copies of whole books, each with the point at which it must equal the true one."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.samples: list[tuple[str, dict[str, int], tuple[dict[str, str], dict[str, str]]]] = []

    def book(self, symbol: str, **fields: Any) -> None:
        super().book(symbol, **fields)
        if len(self.events) % self.every == 0 or fields["snapshot"]:
            moment = fields["exchange_time"]
            if isinstance(moment, str):
                at = {"time": nanoseconds(moment)}
            else:
                at = {"sequence": fields["exchange_sequence"]}
            bids, asks = self.books[symbol]
            self.samples.append((symbol, at, (dict(bids), dict(asks))))


async def check(samples: Samples, simulator: Simulator, exchange: str) -> None:
    truths = await simulator.truths(exchange, [(symbol, at) for symbol, at, _ in samples.samples])
    for (symbol, at, (bids, asks)), truth in zip(samples.samples, truths, strict=True):
        assert sorted(numbers(bids.items()), reverse=True) == numbers(truth["bids"]), (symbol, at)
        assert sorted(numbers(asks.items())) == numbers(truth["asks"]), (symbol, at)
        assert bids and asks


@pytest.mark.parametrize("exchange", SYMBOLS)
async def test_books_equal_the_simulators_true_ones(simulator, exchange):
    samples = Samples(every=5)
    source = simulator.source(exchange)
    task = asyncio.create_task(source.run(samples))
    await until(lambda: len(samples.samples) >= 60 and samples.of("trade"), 20)
    task.cancel()
    await asyncio.wait([task])
    assert {symbol for symbol, *_ in samples.samples} == set(SYMBOLS[exchange])
    await check(samples, simulator, exchange)


@pytest.mark.parametrize("exchange", ["bitmex", "kraken"])
async def test_books_that_are_taken_anew_stay_true(simulator, exchange):
    """Where nothing numbers the updates, each book is subscribed again now and then, within its epoch."""
    samples = Samples(every=5)
    source = simulator.source(exchange)
    source.feed_class.refresh_seconds = 0.7
    task = asyncio.create_task(source.run(samples))
    await until(lambda: sum(b["snapshot"] for b in samples.of("book")) >= 4 * len(SYMBOLS[exchange]), 20)
    task.cancel()
    await asyncio.wait([task])
    await check(samples, simulator, exchange)


@pytest.mark.parametrize("exchange", ["binance", "bitmex"])
async def test_what_waited_while_the_loop_stood_still_is_not_stamped_as_fresh(simulator, exchange):
    """Twice, with hardly a moment between: as a worker that waits for its disk."""
    records = Records()
    source = simulator.source(exchange)
    task = asyncio.create_task(source.run(records))
    await until(lambda: set(records.books) == set(SYMBOLS[exchange]), 20)
    await asyncio.sleep(0.5)
    time.sleep(1.3)
    await asyncio.sleep(0.02)
    time.sleep(1.3)
    await asyncio.sleep(1.5)
    task.cancel()
    await asyncio.wait([task])
    updates = [fields for fields in records.of("book") if not fields["snapshot"]]
    waited = [(fields["receipt_time"] - moment(fields["exchange_time"])) / 1e9 for fields in updates]
    assert max(waited) < 0.5
    assert min(waited) < -0.5, "nothing was read after a pause"
    assert waited[-1] > -0.1
    stamps = [fields["receipt_time"] for fields in updates]
    assert stamps == sorted(stamps)


def moment(sent: float | str) -> int:
    """Nanoseconds."""
    return nanoseconds(sent) if isinstance(sent, str) else int(sent * 1e9)
