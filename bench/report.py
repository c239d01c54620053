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
from bench.latency import Latency
from bench.load import PARTITIONS
from bench.recovery import Recovery
from bench.throughput import Throughput
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


def throughput_table(results: Sequence[Throughput | str], entrants: Sequence[Entrant]) -> str:
    """`results` of `entrants` in the same order; a string is why there is none."""
    own = next(
        (r.microseconds for r in results if isinstance(r, Throughput) and r.entrant == "tradeflow"), None
    )
    rows = []
    for entrant, result in zip(entrants, results, strict=True):
        if isinstance(result, str):
            rows.append([entrant.name, result, "", "", "", "", ""])
            continue
        rows.append(
            [
                entrant.name,
                "yes" if entrant.durable else "no",
                f"{result.microseconds:.1f}",
                f"{1e6 / result.microseconds:,.0f}",
                f"{result.rate:,.0f}",
                f"{result.peak / 2**20:.0f}",
                f"{result.microseconds / own:.2f} ×" if own else "",
            ]
        )
    header = ["", "durable", "µs CPU a delta", "deltas/s a core", "deltas/s by the clock", "peak MiB"]
    return table([*header, "tradeflow : it"], rows)


def latency_table(results: Sequence[Latency]) -> str:
    relay = {result.rate: result for result in results if result.name != "tradeflow"}
    rows = []
    for result in sorted(results, key=lambda r: (r.rate, r.name == "tradeflow")):
        base = relay.get(result.rate) if result.name == "tradeflow" else None
        ratios = [f"{result.p50 / base.p50:.2f} ×", f"{result.p99 / base.p99:.2f} ×"] if base else ["", ""]
        times = [result.p50, result.p99, result.p999, result.worst, result.late]
        rows.append(
            [f"{result.rate:,}/s {result.name}", *(f"{value:.2f}" for value in times[:2]), *ratios]
            + [f"{value:.2f}" for value in times[2:]]
        )
    return table(["ms", "p50", "p99", "p50 ratio", "p99 ratio", "p99.9", "max", "sender late, p99"], rows)


def recovery_table(results: Sequence[Recovery]) -> str:
    own = next((result for result in results if result.entrant == "tradeflow"), None)
    rows = []
    for one in results:
        ratios = (
            [f"{own.with_state / one.with_state:.2f} ×", f"{own.without_state / one.without_state:.2f} ×"]
            if own
            else ["", ""]
        )
        rows.append([one.entrant, f"{one.with_state:.2f}", ratios[0], f"{one.without_state:.2f}", ratios[1]])
    return table(["s", "with local state", "tradeflow : it", "without", "tradeflow : it"], rows)


def versions(entrants: Iterable[Entrant]) -> str:
    """What they run on, a line each."""
    pins = ((entrant.name, ", ".join(map(" ".join, entrant.versions().items()))) for entrant in entrants)
    return "\n".join(f"- {name}: {text}" for name, text in pins)


def refreshed(document: str, part: str, **values: object) -> str:
    """The document with one part made anew: what is between `<!-- part -->` and `<!-- /part -->`.

    The template names the values.  Raises ValueError where the marks are missing."""
    before, _, after = _between(document, part)
    _, text, _ = _between(TEMPLATE.read_text(), part)
    return before + text.format(partitions=PARTITIONS, **values) + after


def _between(text: str, part: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->\n"
    before, mark, rest = text.partition(begin)
    inside, closed, after = rest.partition(end)
    if not mark or not closed:
        raise ValueError(f"no part {part!r}: {begin.strip()} … {end.strip()} are missing")
    return before + begin, inside, end + after
