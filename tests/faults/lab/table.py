"""The faults, in the order in which they are tried."""

from __future__ import annotations

from tests.faults.lab.exchanges import Cut, HalfOpen, Refused, Silent, Skipped
from tests.faults.lab.fault import Fault
from tests.faults.lab.processes import (
    BrokerFrozen,
    BrokerKilled,
    BrokerWiped,
    Frozen,
    Killed,
    LostDirectory,
    Terminated,
)


def faults() -> list[Fault]:
    """All that leave the topics as they are, so that orders can be checked at the end."""
    return [
        Cut(),
        Skipped(),
        Refused(),
        HalfOpen(),
        Silent(),
        BrokerFrozen(),
        BrokerKilled(),
        Terminated(),
        Frozen(),
        LostDirectory(),
        Killed(),
    ]


def last_faults() -> list[Fault]:
    """Those that take the topics with them."""
    return [BrokerWiped()]


def short_form() -> list[Fault]:
    return [Cut(), Skipped(), Frozen(), Killed()]
