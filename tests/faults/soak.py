"""`make soak`: one worker under a steady load for long; its memory has to stay where it was after the warm-up.

Prints a line a minute, and writes docs/soak.md at the end of a run of its full length."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from aiokafka import AIOKafkaProducer

from bench.report import machine
from tests.faults.cluster import GROUP, ROOT, Cluster, Worker, _lag, caught_up, until
from tests.faults.load import Load
from tradeflow import topics
from tradeflow.demo.stack import get

WARM_UP = 5
"""Minutes until memory counts as settled."""
STRATEGIES = "tests.faults.chatty:Seldom,imbalance,arbitrage"
GROWTH = 1.10
"""What the end may be of that."""
FULL = 30
TARGET = ROOT / "docs" / "soak.md"


class Minute(NamedTuple):
    number: int
    memory: float
    """MiB resident: median of the minute's samples."""
    sent: int
    lag: int
    """Records of raw topics and of the log that are not committed."""
    cpu: float
    """Share of a core."""


class Sender(threading.Thread):
    """Sends raw records at a rate until it is told to stop; never ahead of what Kafka acknowledges."""

    def __init__(self, load: Load, brokers: str, rate: float) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._load, self._brokers, self._rate = load, brokers, rate
        self._ending = threading.Event()

    def run(self) -> None:
        asyncio.run(self._send())

    def finish(self) -> None:
        self._ending.set()
        self.join()

    async def _send(self) -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=self._brokers, linger_ms=5, acks="all", max_batch_size=1 << 18
        ) as producer:
            started, pending = time.monotonic(), deque[Any]()
            for topic, partition, key, value in self._load.records(sys.maxsize):
                pending.append(await producer.send(topic, value, key, partition))
                self.sent += 1
                if len(pending) > 10_000:
                    await pending.popleft()
                if (ahead := self.sent / self._rate - (time.monotonic() - started)) > 0.01:
                    await asyncio.sleep(ahead)
                if self._ending.is_set():
                    break
            await asyncio.gather(*pending)


def minutes(worker: Worker, sender: Sender, brokers: str, raw: list[str], count: int) -> list[Minute]:
    process, found = psutil.Process(worker.child.pid), []
    for number in range(1, count + 1):
        samples, used, end = [], process.cpu_times(), time.monotonic() + 60
        while time.monotonic() < end:
            worker.child.check()
            samples.append(process.memory_info().rss / 2**20)
            time.sleep(2)
        now = process.cpu_times()
        cpu = (now.user + now.system - used.user - used.system) / 60
        lag = asyncio.run(_lag(brokers, GROUP, [*raw, topics.MARKET_EVENTS]))
        found.append(Minute(number, statistics.median(samples), sender.sent, lag, cpu))
        print(
            f"minute {number}: {found[-1].memory:.0f} MiB, {sender.sent} sent, lag {lag}, {cpu:.0%} CPU",
            flush=True,
        )
    return found


def document(found: list[Minute], rate: float, command: str, checked: str) -> str:
    shown = [one for one in found if one.number in (1, WARM_UP) or one.number % 5 == 0]
    rows = "\n".join(
        f"| {one.number} | {one.memory:.0f} | {one.sent:,} | {one.lag:,} | {one.cpu:.0%} |" for one in shown
    )
    ratio = found[-1].memory / found[WARM_UP - 1].memory
    return f"""# Soak

Made by `{command}`: one worker (three strategies, 15 books, checkpoints each second) under {rate:g} raw records a
second, everything on one machine.

{machine()}

| minute | MiB resident | sent | lag | CPU of one core |
| -----: | -----------: | ---: | --: | --------------: |
{rows}

Memory at the end is {ratio:.2f} times that of minute {WARM_UP}; more than {GROWTH:.2f} fails the run. {checked}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=FULL)
    parser.add_argument("--rate", type=float, default=5_000, help="raw records a second (%(default)s)")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tradeflow-soak-") as place,
        Cluster(Path(place), STRATEGIES=STRATEGIES) as cluster,
    ):
        worker = cluster.worker().wait_ready()
        load = Load(cluster.maps)
        sender = Sender(load, cluster.brokers, chosen.rate)
        sender.start()
        raw = [
            name(exchange)
            for exchange in cluster.maps.exchanges
            for name in (topics.orderbook_topic, topics.trades_topic)
        ]
        found = minutes(worker, sender, cluster.brokers, raw, chosen.minutes)
        sender.finish()
        until(lambda: caught_up(cluster), 120, "the worker catches up")
        counts = list(get(f"{worker.url}/stats")["markets"].values())
        applied = sum(
            sum(market[kind].values()) for market in counts for kind in ("snapshots", "deltas", "trades")
        )
        bad = sum(market["gaps"] + market["duplicates"] for market in counts)
        checked = f"Of {sender.sent:,} records {applied:,} were applied, {bad} were gaps or repetitions."
        print(checked)
        if chosen.minutes >= FULL:
            given = " ".join(sys.argv[1:])
            command = f"make soak ARGS='{given}'" if given else "make soak"
            TARGET.write_text(document(found, chosen.rate, command, checked))
        settled = found[min(WARM_UP, len(found)) - 1].memory
        print(f"memory: {found[-1].memory / settled:.2f} times that of minute {min(WARM_UP, len(found))}")
        return 0 if found[-1].memory <= GROWTH * settled and applied == sender.sent and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
