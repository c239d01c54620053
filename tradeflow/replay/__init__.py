"""Replay: a recorded log through the same Market again, and whether it sends the same orders."""

from tradeflow.replay.comparison import Comparison, Verdict
from tradeflow.replay.replay import Replay

__all__ = ["Comparison", "Replay", "Verdict"]
