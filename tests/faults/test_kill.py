"""kill -9 in mid-stream, and workers that come and go under load: nothing lost, nothing changed."""

from __future__ import annotations

import signal
import time
import urllib.error
from pathlib import Path

import pytest

from tests.faults.cluster import SESSION_TIMEOUT, Cluster, Worker, caught_up, until
from tests.faults.load import Load, running
from tests.faults.reference import Reference, check_books, check_orders, sent_executions, strategies
from tradeflow import topics
from tradeflow.demo.stack import get

pytestmark = [pytest.mark.integration, pytest.mark.faults]

RATE = 2_500


def settle_and_check(cluster: Cluster, worker: Worker, load: Load) -> tuple[int, int]:
    """(orders, books) that were compared, after everything sent has gone through."""
    until(lambda: caught_up(cluster), 60, "the worker catches up")
    until(lambda: settled(cluster, worker), 60, "the last orders have their executions")
    log = cluster.read(topics.MARKET_EVENTS)
    reference = Reference(cluster.maps, log, strategies(cluster.maps))
    # Clock records still arrive while this is read; orders are settled by then, for nothing else moves.
    orders = check_orders(cluster, reference)
    books = check_books(worker, reference, cluster.maps.books(list(cluster.maps.exchanges)))
    applied = sum(sum(market.counts["deltas"].values()) for market in reference.markets.values())
    snapshots = sum(sum(market.counts["snapshots"].values()) for market in reference.markets.values())
    trades = sum(sum(market.counts["trades"].values()) for market in reference.markets.values())
    assert applied + snapshots + trades == load.sent, "records were lost between raw topics and books"
    return orders, books


def settled(cluster: Cluster, worker: Worker) -> bool:
    """Nothing is on its way to a venue or back: two looks, between which event time has moved by more than that takes,
    find the same executions."""
    before, since = len(sent_executions(cluster)), event_time(worker)
    until(lambda: event_time(worker) > since + 1_000_000_000, 20, "event time moves")
    return caught_up(cluster) and len(sent_executions(cluster)) == before


def event_time(worker: Worker) -> int:
    """Of the partition that is least far."""
    return min(run["event_time"] for run in get(f"{worker.url}/strategies")["strategies"])


def test_workers_that_die_in_the_middle_of_a_checkpoint_lose_and_change_nothing(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        worker = dying(cluster, "w1", marks=13, interval=2).wait_ready()
        load = Load(cluster.maps)
        with running(load.send, cluster.brokers, 45_000, RATE):
            worker.child.wait()
            # With its local state.  Its first checkpoint is not as far in the log as the one that was interrupted.
            dying(cluster, "w1", marks=5, interval=0.05).child.wait()
            worker = cluster.worker("elsewhere").wait_ready()
        orders, books = settle_and_check(cluster, worker, load)
        assert orders > 5_000
        assert books == 15


def dying(cluster: Cluster, name: str, marks: int, interval: float) -> Worker:
    """One whose checkpoints end with four marks each, of which it writes at the most so many but one."""
    return cluster.worker(
        name, by=("tests.faults.dying", str(marks)), TRADEFLOW_COMMIT_INTERVAL=str(interval)
    )


def test_a_worker_that_joins_takes_over_from_the_killed_one_and_another_comes_and_goes(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path) as cluster:
        first = cluster.worker("w1").wait_ready()
        load = Load(cluster.maps, seed=2)
        with running(load.send, cluster.brokers, 60_000, RATE):
            time.sleep(3)
            second = cluster.worker("w2").wait_ready()
            time.sleep(3)
            first.kill()
            serves_every_book(cluster, second, within=SESSION_TIMEOUT + 5)
            third = cluster.worker("w3").wait_ready()
            time.sleep(3)
            third.signal(signal.SIGTERM)
            third.child.wait()
            serves_every_book(cluster, second, within=SESSION_TIMEOUT + 5)
        orders, books = settle_and_check(cluster, second, load)
        assert orders > 6_000
        assert books == 15


def serves_every_book(cluster: Cluster, worker: Worker, within: float) -> None:
    """Seconds from now on."""
    waiting = cluster.maps.books(list(cluster.maps.exchanges))
    deadline, answer = time.monotonic() + within, None
    while waiting:
        assert time.monotonic() < deadline, f"not served: {waiting}: {answer}"
        try:
            answer = worker.book(*waiting[0], depth=1)["state"]
        except OSError as error:
            answer = error.read() if isinstance(error, urllib.error.HTTPError) else error
        if answer == "live":
            waiting.pop(0)
        else:
            time.sleep(0.05)
