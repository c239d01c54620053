"""`System`: a Kafka, four simulated exchanges and two workers, every part of which can be broken."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.faults.cluster import Cluster, Worker, until
from tests.faults.lab.samples import Place
from tradeflow.demo.child import Child
from tradeflow.demo.stack import get

SILENCE = 3.0
"""Seconds: TRADEFLOW_SILENCE_TIMEOUT of the workers."""
QUIET = SILENCE + 0.5
"""Seconds that silence may stay unseen."""
STRATEGIES = ("tests.faults.chatty:Chatty", "imbalance", "arbitrage")
WORKERS = ("w1", "w2")
RATE, LEVELS = 250, 60


class System:
    """Everything starts with the context and ends with it; `directory` keeps logs, topics and local states."""

    def __init__(self, directory: Path, seed: int = 1) -> None:
        self.directory = directory
        self.random = random.Random(seed)
        self.cluster = Cluster(
            directory,
            TRADEFLOW_ROLE="all",
            TRADEFLOW_SILENCE_TIMEOUT=str(SILENCE),
            TRADEFLOW_HEARTBEAT_INTERVAL="0.5",
            STRATEGIES=",".join(STRATEGIES),
        )
        self.places: list[Place] = self.cluster.maps.books(list(self.cluster.maps.exchanges))
        self.workers: dict[str, Worker] = {}
        self.urls: dict[str, str] = {}
        """By worker: where it is asked.  A dead one keeps its last address, which refuses."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.cluster)
            self._start_simulator()
            stack.callback(self.simulator.stop)
            for name in WORKERS:
                self.start(name)
            self._all = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:
        self._all.__exit__(*details)

    def _start_simulator(self) -> None:
        options = ("--rate", str(RATE), "--depth", str(LEVELS))
        log = self.directory / "simulator.log"
        self.simulator = Child("simulator", ["tradeflow.simulator", *options], log, self.cluster.env)
        for line in self.simulator.wait_for("TRADEFLOW_SIMULATOR_URL=").splitlines():
            name, _, url = line.partition("=")
            if name.startswith("TRADEFLOW_"):
                self.cluster.env[name] = url
        self.truth_url = self.cluster.env["TRADEFLOW_SIMULATOR_URL"]

    # --- workers ------------------------------------------------------------------------------------------

    def start(
        self, name: str, *, wait: bool = True, by: Sequence[str] = ("tradeflow.cli",), **env: str
    ) -> Worker:
        """Start a worker, on its local state of before."""
        self.workers[name] = worker = self.cluster.worker(name, by=by, **env)
        self.urls[name] = worker.url
        return worker.wait_ready() if wait else worker

    def stop(self, name: str) -> None:
        """End a worker in order."""
        self.workers[name].signal(signal.SIGTERM)
        self.workers[name].child.wait()

    def any_worker(self) -> str:
        return self.random.choice(sorted(self.workers))

    def works_of(self, name: str) -> set[Place]:
        """The books that depend on this worker: those it owns, and those whose feeds it runs."""
        url = self.workers[name].url
        partitions = set(get(f"{url}/ready")["partitions"])
        owned = {place for place in self.places if self.cluster.maps.symbols[place[1]] in partitions}
        request = urllib.request.Request(f"{url}/feeds", headers={"X-Tradeflow-Forwarded": "1"})
        return owned | {
            (feed["exchange"], symbol) for feed in get(request)["feeds"] for symbol in feed["symbols"]
        }

    def owns_everything(self, name: str) -> bool:
        with contextlib.suppress(OSError):
            return (
                len(get(f"{self.workers[name].url}/ready")["partitions"]) == self.cluster.maps.symbols.count
            )
        return False

    def of_exchange(self, exchange: str) -> set[Place]:
        return {place for place in self.places if place[0] == exchange}

    def revive(self) -> list[str]:
        """Start again what has ended, as a service manager does; returns which."""
        ended = [name for name, worker in self.workers.items() if not worker.child.running]
        for name in ended:
            self.start(name, wait=False)
        return ended

    def wait_ready(self) -> None:
        until(self._ready, 90, "each worker has its share of the partitions")

    def _ready(self) -> bool:
        self.revive()
        with contextlib.suppress(OSError):
            shares = [set(get(f"{worker.url}/ready")["partitions"]) for worker in self.workers.values()]
            count = self.cluster.maps.symbols.count
            return all(shares) and len(set.union(*shares)) == sum(map(len, shares)) == count
        return False

    # --- faults -------------------------------------------------------------------------------------------

    def control(self, exchange: str, fault: str) -> None:
        """A fault of a simulated exchange: `drop`, `refuse`, `accept`, `pause`, `resume`, `skip/SYMBOL`, …"""
        get(urllib.request.Request(f"{self.truth_url}/control/{exchange}/{fault}", method="POST"))

    def freeze(self, pid: int, seconds: float) -> None:
        """SIGSTOP for so long."""
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
