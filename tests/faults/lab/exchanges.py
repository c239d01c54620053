"""Faults of the exchanges and of the connections to them."""

from __future__ import annotations

import time

from tests.faults.lab.fault import QUIET, Fault, Span, lasting
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System


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
    flag_limit = QUIET

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, "pause")
            time.sleep(QUIET + 4)  # Coinbase's and Kraken's connections are given up meanwhile
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


class HungUp(ExchangeFault):
    name = "exchange: every connection is cut after its first frame, for 5 s"
    times = 4
    live_limit = 9.0

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, "hang_up")
            time.sleep(5)
            system.control(self.exchange, "accept")
        return watch.span


class BadRest(ExchangeFault):
    """The WebSockets are cut as well, so that REST is needed."""

    what: str
    times = 4
    live_limit = 9.0

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, f"rest/{self.what}")
            system.control(self.exchange, "drop")
            time.sleep(4)
            system.control(self.exchange, "accept")
        return watch.span


class TooManyRequests(BadRest):
    name, what = "exchange: WebSockets cut, REST says 429 for 4 s", "429"


class ServerError(BadRest):
    name, what = "exchange: WebSockets cut, REST says 500 for 4 s", "500"


class SlowRest(BadRest):
    name, what = "exchange: WebSockets cut, REST takes 3 s for 4 s", "slow"


class TruncatedRest(BadRest):
    name, what = "exchange: WebSockets cut, REST answers half for 4 s", "truncated"
