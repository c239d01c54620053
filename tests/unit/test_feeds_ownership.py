"""Feeds: who owns the partition runs the feed, and lets go of all that it has lost at once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from feed_server import until

from tradeflow.feeds import ownership
from tradeflow.feeds.ownership import Feeds
from tradeflow.feeds.source import Sink, Source
from tradeflow.messages import FeedClaim
from tradeflow.partitions import Feed, PartitionMap, PartitionMaps
from tradeflow.settings import load_settings

SYMBOLS = PartitionMap("symbols.json", {"BTC-USDT": 0, "ETH-USDT": 1, "SOL-USDT": 2})
MAPS = PartitionMaps(SYMBOLS, {"binance": SYMBOLS})
PLAN = {index: Feed(index, "binance", (symbol,)) for index, symbol in enumerate(SYMBOLS)}


class Kafka:
    """Takes everything; each claim gets the next offset."""

    claims = 0

    def append(self, *_: object, **__: object) -> None:
        pass

    async def send(self, *_: object) -> int:
        self.claims += 1
        return self.claims


class Claims(Kafka):
    """One topic of claims; every worker reads every claim."""

    def __init__(self) -> None:
        self.readers: list[Feeds] = []

    async def send(self, *sent: object) -> int:
        epoch = await super().send(*sent)
        claim = msgspec.json.decode(sent[3], type=FeedClaim)
        for reader in self.readers:
            asyncio.get_running_loop().call_soon(reader.foreign_claim, epoch, claim)
        return epoch


class Reluctant(Source):
    """Needs a second to close its connection."""

    exchange = "binance"

    def __init__(self, exchange: str, symbols: list[str], _: object) -> None:
        self.symbols = symbols

    async def run(self, sink: Sink) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)


@pytest.fixture
async def feeds(monkeypatch):
    monkeypatch.setattr(ownership, "make_source", Reluctant)
    feeds = Feeds(PLAN, MAPS, load_settings(), Kafka())
    yield feeds
    await feeds.assign(set())


def running(feeds: Feeds) -> dict[int, str]:
    return {feed["feed"]: feed["state"] for feed in feeds.status()}


async def test_exactly_the_feeds_of_the_partitions_run(feeds):
    await feeds.assign({0, 1, 7})
    await until(lambda: running(feeds) == {0: "connecting", 1: "connecting"})
    epochs = {feed["feed"]: feed["epoch"] for feed in feeds.status()}
    await feeds.assign({1, 2})
    await until(lambda: running(feeds) == {1: "connecting", 2: "connecting"})
    assert feeds.status()[0]["epoch"] == epochs[1], "it has gone on"


async def test_all_that_is_lost_ends_at_the_same_time(feeds):
    await feeds.assign({0, 1, 2})
    await until(lambda: set(running(feeds).values()) == {"connecting"})
    started = asyncio.get_running_loop().time()
    await feeds.assign(set())
    assert 0.9 < asyncio.get_running_loop().time() - started < 2


async def test_claims_of_others_are_outbid_our_own_are_not(feeds):
    await feeds.assign({0})
    await until(lambda: running(feeds) == {0: "connecting"})

    def read_claim(worker: str, feed: int, epoch: int) -> None:
        feeds.foreign_claim(
            epoch, FeedClaim(feed=feed, exchange="binance", symbols=[], worker=worker, time=0)
        )

    read_claim(feeds.worker, 0, 5)
    read_claim("another", 1, 5)
    read_claim("another", 0, 1)
    await asyncio.sleep(1.2)
    assert feeds._outbox.claims == 1
    feeds._outbox.claims = 5
    read_claim("another", 0, 5)
    await until(lambda: feeds._outbox.claims == 6)
    assert feeds.status()[0]["last_error"] == "claimed by worker another at epoch 5"


async def test_two_that_believe_to_be_the_owner_do_not_outbid_each_other_on_and_on(monkeypatch):
    """As after the broker was frozen: one has all partitions, the other learns of it with its next heartbeat, and
    lets go when it has joined again."""
    monkeypatch.setattr(ownership, "make_source", Reluctant)
    claims, sharing_out = Claims(), asyncio.Event()
    old = Feeds(
        PLAN, MAPS, load_settings(), claims, contest_after=1.0, may_contest=lambda: not sharing_out.is_set()
    )
    new = Feeds(PLAN, MAPS, load_settings(), claims, contest_after=1.0)
    claims.readers = [old, new]
    await old.assign({0})
    await until(lambda: running(old) == {0: "connecting"})
    await new.assign({0})
    await until(lambda: claims.claims == 2)
    sharing_out.set()
    await asyncio.sleep(2.5)
    assert claims.claims == 2
    await old.assign(set())
    sharing_out.clear()
    await asyncio.sleep(1.5)
    assert claims.claims == 2
    await old.assign({0})  # one of them has it wrong for good: the claims go on, at a bearable pace
    await until(lambda: claims.claims >= 4, 10)
    for feeds in (old, new):
        await feeds.assign(set())


async def test_a_claim_is_contested_once_the_partitions_are_shared_out(monkeypatch):
    monkeypatch.setattr(ownership, "make_source", Reluctant)
    claims, settled = Claims(), asyncio.Event()
    feeds = Feeds(PLAN, MAPS, load_settings(), claims, contest_after=0.1, may_contest=settled.is_set)
    claims.readers = [feeds]
    await feeds.assign({0})
    await until(lambda: running(feeds) == {0: "connecting"})
    await claims.send(
        "", 0, b"", msgspec.json.encode(FeedClaim(feed=0, exchange="binance", symbols=[], worker="z", time=0))
    )
    await asyncio.sleep(0.5)
    assert claims.claims == 2
    settled.set()
    await until(lambda: claims.claims == 3)
    await feeds.assign(set())
