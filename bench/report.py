"""The results as tables, on the terminal and in docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.entrants import Entrant
from bench.load import PARTITIONS
from tradeflow.kafka.jars import VERSION as KAFKA

TEMPLATE = Path(__file__).with_name("report.md")


class Machine(NamedTuple):
    cpu: str
    cores: int
    memory: int
    busy: float
    """Share of the machine's CPU time that others used just before the start."""

    def __str__(self) -> str:
        day = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return (
            f"- {day}: {self.cores} cores of {self.cpu}, {self.memory / 2**30:.0f} GiB, {platform.system()} "
            f"{platform.release()}, CPython {platform.python_version()}, Kafka {KAFKA}.\n"
            f"- Others used {self.busy:.0%} of the CPU just before the start"
            f"{'.' if self.busy < 0.1 else ': **these figures are of a busy machine**.'}"
        )


def machine() -> Machine:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    busy = psutil.cpu_percent(interval=5) / 100
    return Machine(cpu, os.cpu_count() or 1, psutil.virtual_memory().total, busy)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown, padded so that it reads well on a terminal too; the first column left, all others right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    aligned = ("<", *">" * (len(widths) - 1))
    form = " | ".join(f"{{:{side}{width}}}" for side, width in zip(aligned, widths, strict=True))
    return "\n".join(f"| {form.format(*line)} |" for line in lines)


def versions(entrants: Iterable[Entrant]) -> str:
    """What they run on, a line each."""
    pins = ((entrant.name, ", ".join(map(" ".join, entrant.versions().items()))) for entrant in entrants)
    return "\n".join(f"- {name}: {text}" for name, text in pins)


def refreshed(document: str, part: str, *, template: Path = TEMPLATE, **values: object) -> str:
    """The document with one part made anew: what is between `<!-- part -->` and `<!-- /part -->`.

    The template names the values.  Raises ValueError where the marks are missing."""
    before, _, after = _between(document, part)
    _, text, _ = _between(template.read_text(), part)
    return before + text.format(partitions=PARTITIONS, **values) + after


def _between(text: str, part: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->\n"
    before, mark, rest = text.partition(begin)
    inside, closed, after = rest.partition(end)
    if not mark or not closed:
        raise ValueError(f"no part {part!r}: {begin.strip()} … {end.strip()} are missing")
    return before + begin, inside, end + after
