"""Strategies: what a user writes, what ships, and how to try one in a test."""

from tradeflow.strategies.actions import Action, ActionError, buy, cancel, sell
from tradeflow.strategies.loading import SHIPPED, load_strategies, load_strategy
from tradeflow.strategies.order_views import ExecutionView, OrderView, PositionView
from tradeflow.strategies.strategy import Actions, Strategy, StrategyError, timer
from tradeflow.strategies.trial import Trial, TrialError
from tradeflow.strategies.views import (
    BookView,
    Context,
    Quote,
    TradeView,
)

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
