"""The market of one partition: its log of events applied in order, pure and deterministic."""

from tradeflow.market.changes import BookChange
from tradeflow.market.market import Market
from tradeflow.market.served import Output

__all__ = ["BookChange", "Market", "Output"]
