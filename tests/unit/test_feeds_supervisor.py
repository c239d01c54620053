"""Connections that end in every way: epochs, down records, heartbeats and the pace of reconnecting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from feed_server import Sent, until

from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.source import GapError, Sink, Source
from tradeflow.feeds.supervisor import LONGEST_DELAY, Supervisor, backoff
from tradeflow.messages import RawBook, RawDown, RawHeartbeat

SYMBOLS = ("BTC-USDT", "ETH-USDT")

Script = Callable[[Sink, int], Awaitable[None]]


class Scripted(Source):
    """Each connection runs the script with its number, from 1."""

    exchange = "binance"

    def __init__(self, script: Script) -> None:
        self.symbols = list(SYMBOLS)
        self.script = script
        self.started: list[float] = []
        self.running = 0
        self.asked: list[str] | None = None
        """Symbols taken anew; None: the exchange can't."""

    async def run(self, sink: Sink) -> None:
        self.started.append(time.monotonic())
        self.running += 1
        assert self.running == 1, "two connections at once"
        try:
            await self.script(sink, len(self.started))
        finally:
            self.running -= 1

    def resync(self, symbol: str) -> bool:
        if self.asked is None:
            return False
        self.asked.append(symbol)
        return True


def snapshots(sink: Sink) -> None:
    for symbol in SYMBOLS:
        sink.book(
            symbol,
            snapshot=True,
            bids=[("1", "1")],
            asks=[],
            exchange_time=None,
            receipt_time=time.time_ns(),
        )


async def healthy(sink: Sink, _: int) -> None:
    snapshots(sink)
    while True:
        sink.alive(time.time_ns())
        await asyncio.sleep(0.02)


class Trial:
    def __init__(self, script: Script, **options: float) -> None:
        self.kafka = Sent()
        self.claims = 0
        self.source = Scripted(script)
        self.publisher = Publisher("binance", {"BTC-USDT": 0, "ETH-USDT": 1}, self.kafka.send)
        self.supervisor = Supervisor(self.source, self.publisher, self.claim, **options)

    async def claim(self) -> int:
        self.claims += 1
        return 10 * self.claims

    async def __aenter__(self) -> Trial:
        self.task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()
        assert self.source.running == 0
        assert self.task.done() or await asyncio.wait_for(self.task, 1) is None

    def reasons(self) -> list[str]:
        return [down.reason for down in self.kafka.of(RawDown)]


async def test_each_connection_has_an_epoch_of_its_own_and_ends_with_down():
    async def script(sink: Sink, number: int) -> None:
        snapshots(sink)
        if number == 2:
            raise ConnectionResetError("peer reset")
        if number >= 3:
            await healthy(sink, number)

    async with Trial(script) as trial:
        await until(lambda: trial.supervisor.status()["state"] == "live" and trial.claims == 3)
        assert trial.reasons() == ["the exchange closed the connection", "ConnectionResetError: peer reset"]
        for symbol in SYMBOLS:
            kinds = [(type(r), r.epoch, r.sequence) for *_, r in trial.kafka.records if r.symbol == symbol]
            assert kinds[:5] == [
                (RawBook, 10, 0),
                (RawDown, 10, 0),
                (RawBook, 20, 0),
                (RawDown, 20, 0),
                (RawBook, 30, 0),
            ]
        status = trial.supervisor.status()
        assert (status["epoch"], status["reconnects"]) == (30, 2)
        assert status["last_error"] == "ConnectionResetError: peer reset"
        assert status["messages"] == 8


async def test_down_comes_at_once_and_the_next_connection_within_five_seconds():
    cut = asyncio.Event()

    async def script(sink: Sink, number: int) -> None:
        snapshots(sink)
        await (cut.wait() if number == 1 else healthy(sink, number))

    async with Trial(script) as trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        cut.set()
        lost = time.monotonic()
        await until(lambda: len(trial.reasons()) == 1)
        assert time.monotonic() - lost < 0.1
        await until(lambda: trial.supervisor.status()["state"] == "live" and trial.claims == 2)
        assert time.monotonic() - lost < 1


def test_delays_grow_to_a_cap_below_five_seconds_and_are_spread():
    assert [backoff(n, 1) for n in range(1, 9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]
    assert backoff(10**6, 1) == LONGEST_DELAY < 5
    assert backoff(1, 0) == 0.05


async def test_an_exchange_that_closes_at_once_is_not_hammered():
    async def script(sink: Sink, number: int) -> None:
        snapshots(sink)

    async with Trial(script) as trial:
        await asyncio.sleep(1.5)
    starts = trial.source.started
    assert 4 <= len(starts) <= 7, "0.05 … 0.1, 0.1 … 0.2, 0.2 … 0.4, 0.4 … 0.8 s apart"
    assert all(b - a < 5 for a, b in pairwise(starts))


async def test_a_connection_without_any_sign_of_life_is_restarted():
    async def script(sink: Sink, number: int) -> None:
        snapshots(sink)
        await (asyncio.sleep(60) if number == 1 else healthy(sink, number))

    async with Trial(script, alive_timeout=0.5, heartbeat_interval=0.1) as trial:
        await until(lambda: trial.claims == 2)
        assert trial.reasons()[0].startswith("no sign of life for 0.5 s")
        before = [r for r in trial.kafka.of(RawHeartbeat) if r.epoch == 10]
        assert len(before) <= 2, "a silent connection claims life for two intervals at most"


async def test_quiet_books_have_heartbeats_with_their_last_sequence():
    started = time.monotonic()
    async with Trial(healthy, heartbeat_interval=0.1) as trial:
        await until(lambda: len(trial.kafka.of(RawHeartbeat)) >= 5)
        elapsed = time.monotonic() - started
        for symbol in SYMBOLS:
            beats = trial.kafka.of(RawHeartbeat, symbol)
            assert {(beat.epoch, beat.sequence) for beat in beats} == {(10, 0)}
            assert len(beats) <= elapsed / 0.1 + 1
            assert all(a.receipt_time <= b.receipt_time for a, b in pairwise(beats))


async def test_books_that_never_get_a_snapshot_are_asked_for_again():
    async def script(sink: Sink, number: int) -> None:
        while True:
            sink.alive(time.time_ns())
            await asyncio.sleep(0.02)

    async with Trial(script, sync_timeout=0.3, heartbeat_interval=0.1) as trial:
        await until(lambda: trial.claims == 2)
        assert trial.reasons()[0].startswith("not every book had a snapshot after")
        assert not trial.kafka.of(RawHeartbeat)


async def test_when_kafka_is_away_the_gap_is_marked_and_a_new_epoch_follows():
    async def script(sink: Sink, number: int) -> None:
        snapshots(sink)
        while True:
            await asyncio.sleep(0.01)
            sink.book(
                "BTC-USDT",
                snapshot=False,
                bids=[("1", "2")],
                asks=[],
                exchange_time=None,
                receipt_time=time.time_ns(),
            )

    async with Trial(script) as trial:
        trial.kafka.room = 20
        await until(lambda: trial.publisher.errors)
        await asyncio.sleep(0.5)
        assert trial.claims == 1, "no new connection before the old one's end is told"
        trial.kafka.room = 10**9
        await until(lambda: trial.claims == 2)
        records = [r for *_, r in trial.kafka.records if r.symbol == "BTC-USDT"]
        first = [r for r in records if r.epoch == 10]
        assert isinstance(first[-1], RawDown) and "Kafka takes no more records" in first[-1].reason
        numbers = [r.sequence for r in first if isinstance(r, RawBook)]
        assert numbers == list(range(len(numbers)))


async def test_resync_requests_restart_the_connection_but_not_too_often():
    async with Trial(healthy, resync_interval=1.0, heartbeat_interval=0.1) as trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        assert not trial.supervisor.request_resync("DOGE-USDT", "hole", epoch=10, sequence=0, time=0)
        assert not trial.supervisor.request_resync("BTC-USDT", "hole", epoch=9, sequence=0, time=0), (
            "that epoch is over"
        )
        assert trial.supervisor.request_resync("BTC-USDT", "hole after 17", epoch=10, sequence=0, time=0)
        await until(lambda: trial.claims == 2)
        first = time.monotonic()
        assert trial.reasons() == ["resync of BTC-USDT: hole after 17"]
        await until(lambda: trial.supervisor.status()["state"] == "live")
        assert trial.supervisor.request_resync("BTC-USDT", "crossed", epoch=20, sequence=0, time=0)
        await until(lambda: trial.claims == 3)
        assert 0.5 <= time.monotonic() - first < 2


async def test_a_resync_takes_one_book_anew_on_the_running_connection():
    trial = Trial(healthy)
    trial.source.asked = []
    async with trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        asked = time.monotonic()
        assert trial.supervisor.request_resync("BTC-USDT", "hole after 17", epoch=10, sequence=0, time=0)
        assert not trial.supervisor.request_resync("BTC-USDT", "hole after 17", epoch=10, sequence=0, time=0)
        await until(lambda: trial.source.asked == ["BTC-USDT"])
        assert time.monotonic() - asked < 0.2
        status = trial.supervisor.status()
        assert status["resyncing"] == {"BTC-USDT": "hole after 17"} and status["state"] == "live"
        snapshots(trial.publisher)
        assert not trial.supervisor.request_resync("BTC-USDT", "late", epoch=10, sequence=0, time=0)
        status = trial.supervisor.status()
        assert (status["resyncing"], status["resyncs"], status["gaps"]) == ({}, 1, 1)
        assert trial.claims == 1 and not trial.reasons()


async def test_a_book_that_is_not_taken_anew_in_time_restarts_the_connection():
    trial = Trial(healthy)
    trial.source.asked, trial.source.resync_patience = [], 0.3
    async with trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        trial.publisher.gap("ETH-USDT", "checksum")
        await until(lambda: trial.claims == 2)
        assert trial.reasons() == ["no snapshot of ETH-USDT in 0 s after its resync began: checksum"]
        await until(lambda: trial.supervisor.status()["state"] == "live")
        assert trial.source.asked == ["ETH-USDT"] and not trial.publisher.gaps


async def test_a_foreign_claim_above_ours_is_outbid_whenever_it_is_read():
    trial = Trial(healthy)
    claim = trial.claim

    async def overtaken() -> int:
        epoch = await claim()
        if trial.claims == 2:  # read before our own claim is acknowledged
            trial.supervisor.outbid(epoch + 1, "claimed by worker b at epoch 21")
        return epoch

    trial.supervisor._claim = overtaken
    async with trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        trial.supervisor.outbid(11, "claimed by worker a at epoch 11")
        await until(lambda: trial.claims == 3)
        await until(lambda: trial.supervisor.status()["state"] == "live")
        assert trial.reasons() == ["claimed by worker a at epoch 11", "claimed by worker b at epoch 21"]
        trial.supervisor.outbid(29, "below ours")
        await asyncio.sleep(1.2)
        assert trial.claims == 3


async def test_a_claim_that_fails_is_tried_again_before_anything_is_published():
    async with Trial(healthy) as trial:
        pass
    trial = Trial(healthy)
    claim, failures = trial.claim, []

    async def failing() -> int:
        if len(failures) < 2:
            failures.append(1)
            raise ConnectionError("no broker")
        return await claim()

    trial.supervisor._claim = failing
    async with trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        assert trial.supervisor.last_error == "ConnectionError: no broker"
        assert not trial.reasons()


async def test_a_gap_is_the_reason_in_the_down_record():
    async def script(sink: Sink, number: int) -> None:
        if number > 1:
            await healthy(sink, number)
        async with asyncio.TaskGroup():
            raise GapError("sequence 7 follows 5")

    async with Trial(script) as trial:
        await until(lambda: trial.claims == 2)
        assert trial.reasons() == ["GapError: sequence 7 follows 5"]


@pytest.mark.parametrize("when", ["before it runs", "claiming", "live", "waiting"])
async def test_stop_works_in_every_state_and_leaves_nothing(when):
    async def script(sink: Sink, number: int) -> None:
        if when == "waiting":
            raise OSError("refused")
        await healthy(sink, number)

    trial = Trial(script)
    if when == "claiming":
        trial.supervisor._claim = lambda: asyncio.sleep(60)
    task = asyncio.create_task(trial.supervisor.run())
    if when != "before it runs":
        await until(lambda: trial.supervisor.status()["state"] == when)
    await trial.supervisor.stop()
    await asyncio.wait_for(task, 1)
    assert trial.supervisor.status()["state"] == "stopped"
    assert trial.source.running == 0
    if when == "live":
        assert trial.reasons() == ["the feed was stopped"]
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]


async def test_a_source_that_ignores_cancellation_never_overlaps_the_next_one():
    async def script(sink: Sink, number: int) -> None:
        if number == 1:
            snapshots(sink)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                sink.trade(
                    "BTC-USDT",
                    side="buy",
                    price="1",
                    size="1",
                    trade_id=None,
                    order_type=None,
                    exchange_time=None,
                    receipt_time=1,
                )
                await asyncio.sleep(0.5)
            return
        await healthy(sink, number)

    async with Trial(script) as trial:
        await until(lambda: trial.supervisor.status()["state"] == "live")
        trial.supervisor.outbid(11, "enough")
        await until(lambda: trial.claims == 2)
        assert trial.kafka.records[-1][0] == "binance-orderbook"
        assert not [topic for topic, *_ in trial.kafka.records if topic == "binance-trades"]
