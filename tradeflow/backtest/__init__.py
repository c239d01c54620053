"""Backtest: a recorded log, strategies, the gate and the paper exchange, in one process and in no time."""

from tradeflow.backtest.backtest import Backtest
from tradeflow.backtest.result import BacktestResult, BookResult, CurrencyResult

__all__ = ["Backtest", "BacktestResult", "BookResult", "CurrencyResult"]
