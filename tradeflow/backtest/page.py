"""A backtest's result as one HTML page that needs no network: its charts' JavaScript is in it."""

from __future__ import annotations

import html
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from tradeflow.backtest.report import show
from tradeflow.backtest.result import BacktestResult, drawdowns

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backtest: {title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }}
pre {{ overflow-x: auto; font-size: 0.8rem; line-height: 1.25 }}
</style>
<script>{plotly}</script>
</head>
<body>
<h1>Backtest: {title}</h1>
<pre>{parameters}</pre>
{charts}
<pre>{figures}</pre>
</body>
</html>
"""


def page(result: BacktestResult) -> str:
    """The whole page: P&L and drawdown by currency, and all figures."""
    from plotly.graph_objects import Figure, Scatter
    from plotly.offline import get_plotlyjs

    times = [datetime.fromtimestamp(time // 1_000_000 / 1000, UTC) for time in result.times]
    charts: list[str] = []
    for currency, one in result.currencies.items():
        curve = [Decimal(value) for value in one.curve]
        for title, values in (
            (f"P&L after fees, {currency}", curve),
            (f"Drawdown, {currency}", [-value for value in drawdowns(curve)]),
        ):
            figure: Any = Figure(Scatter(x=times, y=[float(value) for value in values], mode="lines"))
            figure.update_layout(title=title, height=360, margin={"l": 60, "r": 20, "t": 50, "b": 40})
            name = f"chart-{len(charts)}"
            charts.append(figure.to_html(full_html=False, include_plotlyjs=False, div_id=name))
    console = Console(record=True, width=160, file=io.StringIO())
    show(result, console)
    return _PAGE.format(
        title=html.escape(", ".join(str(one["name"]) for one in result.strategies)),
        plotly=get_plotlyjs(),
        parameters=html.escape(
            "\n".join(f"{one['name']} {one['params_hash']}: {one['parameters']}" for one in result.strategies)
        ),
        charts="\n".join(charts) or "<p>Nothing was filled.</p>",
        figures=html.escape(console.export_text()),
    )
