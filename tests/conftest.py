"""Fixtures that tests share."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradeflow.kafka import Kafka
from tradeflow.settings import load_settings


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
    mounted = []

    def mount(mebibytes: int) -> Path:
        directory = tmp_path / f"disk{len(mounted)}"
        directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(directory)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"needs the right to mount a tmpfs (root on Linux): {error}")
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
