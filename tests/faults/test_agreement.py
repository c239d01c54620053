"""Workers that differ in maps or strategies are refused while others run, and start once none does."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, Worker, until
from tradeflow.demo.child import ChildFailed

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SWAPPED = ("BTC-USDT", "ETH-USDT")
IMPATIENT = {"TRADEFLOW_SESSION_TIMEOUT": "1", "TRADEFLOW_HEARTBEAT_INTERVAL": "0.5"}
"""For who is refused: so long, and two seconds, it waits for members that may be dead."""


def other_maps(cluster: Cluster, directory: Path) -> Path:
    """The same maps with two symbols in each other's place."""
    directory.mkdir(exist_ok=True)
    for name, map_ in {"symbols": cluster.maps.symbols, **cluster.maps.exchanges}.items():
        places = dict(map_)
        if name == "symbols":
            one, other = SWAPPED
            places[one], places[other] = places[other], places[one]
        (directory / f"{name}.json").write_text(json.dumps(places))
    return directory


def refusal(worker: Worker) -> str:
    until(lambda: not worker.child.running, 60, "the worker ends")
    with pytest.raises(ChildFailed, match="ended with status 1"):
        worker.child.check()
    return worker.child.log()


def test_a_worker_that_differs_is_refused_until_the_others_have_stopped(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        first = cluster.worker("w1").wait_ready()
        maps = str(other_maps(cluster, tmp_path / "maps"))

        said = refusal(cluster.worker("w2", TRADEFLOW_PARTITION_MAPS=maps, **IMPATIENT))
        assert "the partition maps differ: symbols.json BTC-USDT:" in said
        assert "to change them stop every worker first" in said
        assert "Traceback" not in said

        said = refusal(cluster.worker("w3", STRATEGIES="imbalance", **IMPATIENT))
        assert "workers of group tradeflow-strategies differ: strategy " in said

        cluster.worker("w4").wait_ready()  # who agrees is welcome
        for worker in (first, cluster.workers[-1]):
            worker.signal(signal.SIGTERM)
            worker.child.wait()
        cluster.worker("w5", TRADEFLOW_PARTITION_MAPS=maps, STRATEGIES="imbalance").wait_ready()
