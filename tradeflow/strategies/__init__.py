"""Strategies: what a user writes, what ships, and how to try one in a test."""

from typing import TYPE_CHECKING, Any

from tradeflow.strategies.actions import Action, ActionError, buy, cancel, sell
from tradeflow.strategies.loading import SHIPPED, load_strategies, load_strategy
from tradeflow.strategies.order_views import ExecutionView, OrderView, PositionView
from tradeflow.strategies.strategy import Actions, Strategy, StrategyError, timer
from tradeflow.strategies.views import (
    BookView,
    Context,
    Quote,
    TradeView,
)

if TYPE_CHECKING:
    from tradeflow.strategies.trial import Trial, TrialError

__all__ = [
    "SHIPPED",
    "Action",
    "ActionError",
    "Actions",
    "BookView",
    "Context",
    "ExecutionView",
    "OrderView",
    "PositionView",
    "Quote",
    "Strategy",
    "StrategyError",
    "TradeView",
    "Trial",
    "TrialError",
    "buy",
    "cancel",
    "load_strategies",
    "load_strategy",
    "sell",
    "timer",
]


def __getattr__(name: str) -> Any:
    """Trials run in a market, whose modules import this package."""
    if name not in ("Trial", "TrialError"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tradeflow.strategies import trial

    return getattr(trial, name)
