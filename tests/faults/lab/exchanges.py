"""Faults of the exchanges and of the connections to them."""

from __future__ import annotations

import time

from tests.faults.lab.fault import PACE, QUIET, Fault, Span, lasting
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System

UNANSWERED = 15.0 + 1.0
"""Seconds without data after which a connection that answers pings is given up, and a ping's interval."""


class ExchangeFault(Fault):
    """Hits all books of one exchange; exchanges take turns."""

    exchanges = ("binance", "coinbase", "kraken", "bitmex")
    times = 8

    def __init__(self) -> None:
        self._turn = 0
        self.exchange = ""

    def places(self, system: System) -> set[Place]:
        self.exchange = self.exchanges[self._turn % len(self.exchanges)]
        self._turn += 1
        return system.of_exchange(self.exchange)

    def tidy(self, system: System) -> None:
        system.wait_ready()


class Cut(ExchangeFault):
    name = "exchange: WebSockets cut"

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, "drop")
        return Span(watch.begun, watch.begun)


class Refused(ExchangeFault):
    name = "exchange: WebSockets cut, refused for 5 s"
    live_limit = 9.0  # the next attempt comes at most 4 s after the exchange is back

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, "refuse")
            system.control(self.exchange, "drop")
            time.sleep(5)
            system.control(self.exchange, "accept")
        return watch.span


class Silent(ExchangeFault):
    name = "exchange: sends nothing, answers pings"
    times = 4
    flag_limit = UNANSWERED + 0.5
    old_after = UNANSWERED + 0.5

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, "pause")
            time.sleep(UNANSWERED + 2)
            system.control(self.exchange, "resume")
        return watch.span


class HalfOpen(Fault):
    """The exchanges' process stops: connections stay, nothing is sent and nothing answered."""

    name = "exchange: half-open (nothing is sent or answered)"
    times = 3
    flag_limit = QUIET
    live_limit = 9.0

    def places(self, system: System) -> set[Place]:
        return set(system.places)

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.freeze(system.simulator.pid, QUIET + 4)
        return watch.span


class Skipped(ExchangeFault):
    """One frame of one book is lost, where the exchange numbers what it sends: the very next record tells."""

    name = "exchange: a frame is skipped (numbered ones)"
    exchanges = ("binance", "coinbase")
    times = 10
    flag_limit = PACE

    def places(self, system: System) -> set[Place]:
        super().places(system)
        self.symbol = system.random.choice(sorted(system.of_exchange(self.exchange)))[1]
        return {(self.exchange, self.symbol)}

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, f"skip/{self.symbol}")
        return Span(watch.begun, watch.begun)
