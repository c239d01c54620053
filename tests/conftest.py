"""Fixtures that tests share."""

from __future__ import annotations

from collections.abc import Iterator

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
