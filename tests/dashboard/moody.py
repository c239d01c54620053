"""A strategy that halts itself, for the alerts."""

from __future__ import annotations

from typing import Any

from tradeflow import Strategy
from tradeflow.strategies import Actions


class Moody(Strategy):
    def on_book(self, book: Any, ctx: Any) -> Actions:
        raise RuntimeError("on purpose")
