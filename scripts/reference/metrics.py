"""docs/reference/metrics.md, from the table in tradeflow/metrics/exposition.py."""

from __future__ import annotations

from tradeflow.metrics.exposition import METRICS

HEAD = """\
# Metrics

<!-- Written by `make docs` from tradeflow/metrics/exposition.py. -->

Of `/metrics`, each about the worker that is asked; beside them the process's own (`process_start_time_seconds`,
`process_resident_memory_bytes`, `process_cpu_seconds_total`, …, on Linux).  Histograms have `_bucket`, `_sum` and
`_count`, summaries the last two.  [Alerts and a dashboard](../monitoring.md).

| Metric | Kind | Labels | Meaning |
|---|---|---|---|
"""


def page() -> str:
    rows = (
        f"| `{name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels) or '–'} | {metric.says} |\n"
        for name, metric in METRICS.items()
    )
    return HEAD + "".join(rows)
