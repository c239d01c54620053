"""Fixtures that tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.small_disk import NotAllowed, SmallDisk
from tradeflow.kafka import Kafka
from tradeflow.settings import load_settings

SLOW = ("documents", "faults", "integration", "dashboard")
"""Folders of tests, the slowest first: what is short comes last, so that all processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(SLOW)))


@pytest.fixture(scope="session")
def broker() -> Iterator[Kafka]:
    """A real Kafka for the whole run.  A test that kills or fills one starts its own: `with Kafka() as …`."""
    settings = load_settings()
    with Kafka(cache_dir=settings.cache_dir, maven_url=settings.maven_url, progress=print) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka(broker: Kafka) -> str:
    """Bootstrap servers of that Kafka, "127.0.0.1:PORT".  Topics are not created by themselves."""
    return broker.bootstrap


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """A shell starts its background jobs with SIGINT ignored, and children inherit that: Ctrl-C would reach none."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of that many MiB, in memory; skips where that isn't allowed."""
    disks: list[SmallDisk] = []

    def mount(mebibytes: int) -> Path:
        disk = SmallDisk(tmp_path / f"disk{len(disks)}")
        try:
            disk.mount(mebibytes)
        except NotAllowed as error:
            pytest.skip(str(error))
        disks.append(disk)
        return disk.directory

    yield mount
    for disk in disks:
        disk.unmount()
