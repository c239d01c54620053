"""Plain agents that send orders: each has a run without handlers, which keeps its orders and positions."""

from __future__ import annotations

from tradeflow.strategies.loading import with_options
from tradeflow.strategies.strategy import Strategy


class PlainAgent(Strategy):
    """Code of somebody's own that writes into topic `orders`."""


def plain_agent(name: str) -> Strategy:
    """One of this name."""
    return with_options(PlainAgent(), {"name": name})
