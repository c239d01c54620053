"""The faults, in the order in which they are tried."""

from __future__ import annotations

from tests.faults.lab import clocks, disks, exchanges, frames, network, processes, versions
from tests.faults.lab.fault import Fault

KINDS: tuple[type[Fault], ...] = (
    exchanges.Cut,
    exchanges.Refused,
    exchanges.HungUp,
    exchanges.HalfOpen,
    exchanges.Silent,
    exchanges.TooManyRequests,
    exchanges.ServerError,
    exchanges.SlowRest,
    exchanges.TruncatedRest,
    frames.Skipped,
    frames.Reordered,
    frames.Repeated,
    frames.Truncated,
    frames.WrongChecksum,
    frames.Crossed,
    frames.FinerTick,
    processes.BrokerFrozen,
    processes.BrokerKilled,
    processes.Terminated,
    processes.Frozen,
    processes.LostDirectory,
    processes.KilledAgain,
    processes.Killed,
    disks.WorkerDiskFull,
    disks.BrokerDiskFull,
    network.CutOff,
    clocks.ClockAhead,
    clocks.ClockBehind,
    versions.Rolled,
    processes.OtherMaps,
    processes.OtherBooks,
    processes.OtherTopics,
)
"""All that leave the topics as they are, so that orders can be checked at the end."""

LAST: tuple[type[Fault], ...] = (processes.BrokerWiped,)
"""Those that take the topics with them."""

SHORT: tuple[type[Fault], ...] = (exchanges.Cut, frames.Skipped, frames.Truncated, processes.Killed)


def chosen(kinds: tuple[type[Fault], ...], text: str = "") -> list[Fault]:
    """Those whose name has this text."""
    return [kind() for kind in kinds if text in kind.name]
