"""The risk gate: which orders may go to a venue, decided at one place of the log; pure and deterministic."""

from tradeflow.risk.denial import Denial, ReasonCode
from tradeflow.risk.division import gross_share, purses, shares
from tradeflow.risk.gate import RiskGate
from tradeflow.risk.halts import Halts
from tradeflow.risk.limits import Limits
from tradeflow.risk.limits_file import LimitsError, check_reserves, parse_limits
from tradeflow.risk.situation import Account, Situation

__all__ = [
    "Account",
    "Denial",
    "Halts",
    "Limits",
    "LimitsError",
    "ReasonCode",
    "RiskGate",
    "Situation",
    "check_reserves",
    "gross_share",
    "parse_limits",
    "purses",
    "shares",
]
