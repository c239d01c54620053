"""Pages whose commands are all run, as they stand there: on a real Kafka, simulated exchanges and real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.terminals import Terminals

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory that looks like a checkout, and may be written to."""
    for name in ("docs", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def take(page: str, checkout: Path) -> int:
    """How many steps were taken."""
    with Terminals(checkout) as terminals:
        return terminals.take((ROOT / "docs" / page).read_text(encoding="utf-8"))


def test_adding_a_strategy(checkout: Path) -> None:
    assert take("how-to/add-a-strategy.md", checkout) == 4


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_the_tutorial(checkout: Path) -> None:
    assert take("tutorial.md", checkout) > 10


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_adding_an_exchange(checkout: Path) -> None:
    assert take("how-to/add-an-exchange.md", checkout) == 4


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_scaling_out(checkout: Path) -> None:
    assert take("how-to/scale-out.md", checkout) > 10
