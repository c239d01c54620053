"""Where orders go: the interface of a venue, and the paper exchange behind it."""

from tradeflow.execution.fees import Fees
from tradeflow.execution.paper import PaperExchange
from tradeflow.execution.venue import ExecutionVenue

__all__ = ["ExecutionVenue", "Fees", "PaperExchange"]
