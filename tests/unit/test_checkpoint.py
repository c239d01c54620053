"""Markets: what a checkpoint holds when the one before was refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from market_log import BOOKS, delta, snapshot, trade

from tradeflow.market import Market
from tradeflow.worker.checkpoint import Markets
from tradeflow.worker.outbox import Outbox, Sent
from tradeflow.worker.slots import SlotRecord

MARKET = ("strategy_states", "market")
TAPE = ("strategy_states", "trades/binance/BTC-USDT")
BINANCE, KRAKEN = ("order_books", "binance/BTC-USDT"), ("order_books", "kraken/BTC-USDT")


class _Table:
    """As much of a StateTable as an empty partition needs."""

    def __init__(self):
        self.local = []
        self.changelog_topic = SimpleNamespace(get_topic_name=lambda: "changelog")

    def stored(self, partition, key):
        return None

    def store(self, partition, records, batches):
        self.local += [key for key, _ in records]


async def written(records, hold):
    """Acknowledged at once."""
    return True


class _Hold:
    """`proofs`: what the broker says, one after the other; then that all is well.  `held`: what the worker knows."""

    def __init__(self, *proofs, held=True):
        self.proofs, self._held = list(proofs), held

    def held(self):
        return self._held

    async def prove(self):
        return self.proofs.pop(0) if self.proofs else True


@pytest.fixture
def markets(monkeypatch):
    outbox = Outbox(lambda: None, on_failure=lambda error: None)
    markets = Markets(
        "market-events",
        {"order_books": _Table(), "strategy_states": _Table()},
        outbox,
        lambda number: Market(number, BOOKS),
        lambda: 1,
    )
    monkeypatch.setattr(markets, "_write", written)
    return markets


def apply(markets, offset, *events):
    for event in events:
        markets[0].apply(event, offset)
    markets.applied(0, offset)


async def test_what_a_refused_checkpoint_took_is_part_of_the_next_one(markets):
    apply(markets, 7, snapshot(), trade(0))
    (refused,) = markets.take()
    assert refused.writes.keys() == {MARKET, BINANCE, TAPE}
    apply(markets, 8, delta(1), snapshot(exchange="kraken"))
    (cut,) = markets.take()
    assert (cut.offset, cut.writes.keys()) == (8, {MARKET, BINANCE, KRAKEN, TAPE})
    assert cut.writes[TAPE] == refused.writes[TAPE]
    assert cut.writes[BINANCE] != refused.writes[BINANCE], "of what was taken twice the later one"

    assert await markets.save([cut], _Hold())
    apply(markets, 9, delta(1, exchange="kraken"))
    (after,) = markets.take()
    assert after.writes.keys() == {MARKET, KRAKEN}, "what is saved isn't written again"


async def test_a_rewind_forgets_what_was_taken(markets):
    apply(markets, 7, snapshot(), trade(0))
    markets.take()
    markets.reset()
    apply(markets, 8, snapshot(exchange="kraken"))
    (cut,) = markets.take()
    assert cut.writes.keys() == {MARKET, KRAKEN}


async def test_who_gives_up_waiting_for_one_that_is_being_saved_takes_nothing_of_it_back(
    markets, monkeypatch
):
    begun, broker = [], asyncio.Event()

    async def slowly(records, hold):
        begun.append([record.key for record in records])
        await broker.wait()
        return True

    monkeypatch.setattr(markets, "_write", slowly)
    apply(markets, 7, snapshot())
    first = asyncio.create_task(markets.save(markets.take(), _Hold()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    apply(markets, 8, delta(1))
    second = asyncio.create_task(markets.save(markets.take(), _Hold()))
    await asyncio.sleep(0)
    assert first.cancelled()
    assert len(begun) == 1, "no other before it has ended"

    broker.set()
    await second
    assert [keys[-1] for keys in begun] == [b"binance/BTC-USDT#0", b"cut", b"binance/BTC-USDT#1", b"cut"]


async def test_no_mark_of_who_has_lost_the_partition(markets, monkeypatch):
    keys = []

    async def noted(records, hold):
        keys.extend(record.key for record in records)
        return True

    monkeypatch.setattr(markets, "_write", noted)
    apply(markets, 7, snapshot())
    assert not await markets.save(markets.take(), _Hold(False))
    assert b"cut" not in keys

    apply(markets, 8, delta(1))
    assert await markets.save(markets.take(), _Hold())
    assert [key for key in keys if key.startswith((b"cut", b"binance"))] == [
        b"binance/BTC-USDT#0",
        b"binance/BTC-USDT#0",
        b"cut",
    ]


@pytest.mark.parametrize("held", [True, False])
async def test_nothing_is_written_locally_of_a_partition_that_was_given_up(monkeypatch, held):
    outbox = Outbox(lambda: None, on_failure=lambda error: None)

    def acknowledged(*_):
        future = asyncio.get_running_loop().create_future()
        future.set_result(Sent(0, 1))
        return future

    monkeypatch.setattr(outbox, "append", acknowledged)
    table = _Table()
    markets = Markets("market-events", {"order_books": table}, outbox, lambda _: None, lambda: 1)
    assert await markets._write([SlotRecord(table, 0, b"key#0", b"value")], _Hold(held=held)) is held
    assert table.local == ([b"key#0"] if held else [])
