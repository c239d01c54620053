"""A worker whose disk is full ends by itself, says which directory it is, and goes on from there when there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, until
from tests.small_disk import SmallDisk

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def test_a_worker_whose_disk_is_full_says_which_and_ends(
    tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    directory = small_disk(64)
    disk = SmallDisk(directory)
    with Cluster(tmp_path) as cluster:
        worker = cluster.worker(directory.name).wait_ready()
        disk.fill()
        until(lambda: not worker.child.running, 60, "the worker ends")
        said = worker.child.log()
        assert f"[CRITICAL] local state in {directory} can't be written: IO error: No space left" in said
        assert "Make room there, or set TRADEFLOW_DATA_DIR" in said
        disk.free()
        cluster.worker(directory.name).wait_ready()
