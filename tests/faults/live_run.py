"""A live paper run on the simulators, recorded, and its replays: cut and restarted anywhere, the same orders."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.cluster import _read
from tradeflow import topics
from tradeflow.demo.stack import Stack
from tradeflow.market import Market
from tradeflow.messages import Execution, MarketEvent, Order
from tradeflow.ports import free_port
from tradeflow.recording import RecordingReader
from tradeflow.recording.command import record_topics
from tradeflow.recording.setup import new_market, recorded_strategies, trading_of
from tradeflow.recording.topics import CAUSED, Start
from tradeflow.replay.comparison import LogDigest
from tradeflow.settings import load_settings

SESSION_TIMEOUT = 6.0


def live_stack(data_dir: Path, rate: int = 250, **env: str) -> Stack:
    """Simulators of `rate` book updates a second, and a worker with the shipped strategies, gate and paper exchange."""
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=data_dir,
        simulator_options=("--rate", str(rate), "--depth", "50"),
    )
    stack.env |= {"TRADEFLOW_SESSION_TIMEOUT": str(SESSION_TIMEOUT), **env}
    return stack


def trade(stack: Stack, seconds: float, *, faults: bool) -> None:
    """Let it trade for so long; with `faults` a second worker joins, and the first is killed in the middle."""
    if not faults:
        time.sleep(seconds)
    else:
        time.sleep(seconds / 4)
        port = free_port()
        stack.start_worker(port)
        time.sleep(seconds / 4)
        victim = stack.children.pop(1)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        stack.web_url = f"http://127.0.0.1:{port}"
        time.sleep(SESSION_TIMEOUT + seconds / 2)
    simulator = stack.children.pop(0)
    simulator.stop()


def record(stack: Stack, file: Path) -> int:
    """All of it, once the workers are through; returns how many records."""
    config = load_settings(kafka_brokers=stack.brokers)
    names = [topics.MARKET_EVENTS, *sorted(CAUSED)]
    records, settled = asyncio.run(record_topics(config, file, names, Start(), None, None))
    assert settled, "the workers don't come to the end of the log"
    return records


def sent(stack: Stack) -> tuple[int, str]:
    """(orders and cancels, SHA-256) of the live run, read from Kafka without any code of recordings."""
    digest = LogDigest()
    contents: dict[str, bytes] = {}
    for records in asyncio.run(_read(stack.brokers, topics.ORDERS)).values():
        for one in records:
            order = msgspec.json.decode(one.value, type=Order)
            key = f"{order.order_id}/{order.command}"
            assert contents.setdefault(key, one.value) == one.value, "an id with two contents"
            digest.add(key, one.value)
    return digest.count, digest.sha256()


def replayed_in_pieces(file: Path, seed: int) -> tuple[int, str, int]:
    """(orders, SHA-256, restarts) of a replay in runs of any sizes, restarted now and then from its last checkpoint."""
    draw, digest, restarts = random.Random(seed), LogDigest(), 0
    decode = msgspec.json.Decoder(MarketEvent).decode
    with file.open("rb") as data:
        reader = RecordingReader(data)
        strategies = recorded_strategies(reader.header, print)
        trading = trading_of(reader.header, strategies)
        logs: dict[int, list[tuple[int, int, MarketEvent]]] = {}
        for one in reader:
            if one.topic == topics.MARKET_EVENTS:
                logs.setdefault(one.partition, []).append(
                    (one.offset, one.appended, decode(one.value or b""))
                )
    for partition, log in logs.items():
        stored: dict[tuple[str, str], bytes] = {}
        market = new_market(reader.header, partition, strategies, trading)
        at = cut = 0
        while at < len(log):
            for offset, appended, event in log[at : at + draw.choice((1, 7, 60, 500))]:
                market.apply(event, offset, appended)
                at += 1
            _note(market, digest)
            if draw.random() < 0.3:
                stored |= market.take_dirty()
                cut = at
            elif draw.random() < 0.1:
                market = _restarted(new_market(reader.header, partition, strategies, trading), stored)
                at, restarts = cut, restarts + 1
    return digest.count, digest.sha256(), restarts


def paper_again(file: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(recorded, made again) by execution id: what the paper exchange reports on the recorded log, orders reaching the
    gate where they did."""
    recorded: dict[str, bytes] = {}
    made: dict[str, bytes] = {}
    decode = msgspec.json.Decoder(MarketEvent).decode
    with file.open("rb") as data:
        reader = RecordingReader(data)
        strategies = recorded_strategies(reader.header, print)
        trading = trading_of(reader.header, strategies)
        markets: dict[int, Market] = {}
        for one in reader:
            if one.topic != topics.MARKET_EVENTS:
                continue
            market = markets.get(one.partition) or new_market(
                reader.header, one.partition, strategies, trading, venue=trading.venue
            )
            markets[one.partition] = market
            event = decode(one.value or b"")
            if isinstance(event, Execution):
                recorded.setdefault(event.execution_id, one.value or b"")
            market.apply(event, one.offset, one.appended)
            for output in market.take_outputs():
                if output.topic == topics.MARKET_EVENTS:
                    said = msgspec.json.decode(output.value, type=Execution)
                    made.setdefault(said.execution_id, output.value)
    return recorded, made


def _restarted(market: Market, stored: dict[tuple[str, str], bytes]) -> Market:
    market.restore(lambda table, key: stored.get((table, key)))
    return market


def _note(market: Market, digest: LogDigest) -> None:
    for key, value in _orders(market):
        digest.add(key, value)


def _orders(market: Market) -> Iterator[tuple[str, bytes]]:
    for output in market.take_outputs():
        if output.topic == topics.ORDERS:
            order = msgspec.json.decode(output.value, type=Order)
            yield f"{order.order_id}/{order.command}", output.value
