"""Reference pages from the code: `make docs` writes them, and a test demands that they are current."""

from __future__ import annotations

from pathlib import Path

from scripts.reference import cli, metrics, openapi, settings, topics

ROOT = Path(__file__).parents[2]


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    pages = ROOT / "docs" / "reference"
    return {
        ROOT / ".env.example": settings.env_example(),
        pages / "cli.md": cli.page(),
        pages / "metrics.md": metrics.page(),
        pages / "openapi.json": openapi.page(),
        pages / "settings.md": settings.page(),
        pages / "topics.md": topics.page(ROOT / "partition_maps"),
        **{pages / "schemas" / name: text for name, text in topics.schemas().items()},
    }
