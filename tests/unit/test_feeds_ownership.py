"""Feeds: who owns the partition runs the feed, and lets go of all that it has lost at once."""

from __future__ import annotations

import asyncio

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
