"""Faults of single frames."""

from __future__ import annotations

from tests.faults.lab.exchanges import ExchangeFault
from tests.faults.lab.fault import Span, lasting
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System


class Spoiled(ExchangeFault):
    """The next frame or two of one book, where that can be known at once."""

    fault: str
    times = 8

    def places(self, system: System) -> set[Place]:
        super().places(system)
        self.symbol = system.random.choice(sorted(system.of_exchange(self.exchange)))[1]
        return {(self.exchange, self.symbol)}

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.control(self.exchange, f"{self.fault}/{self.symbol}")
        return Span(watch.begun, watch.begun)


class Skipped(Spoiled):
    name = "exchange: a frame is skipped (numbered ones)"
    fault = "skip"
    exchanges = ("binance", "coinbase")


class Reordered(Spoiled):
    name = "exchange: two frames change places (numbered ones)"
    fault = "reorder"
    exchanges = ("binance", "coinbase")


class Repeated(Spoiled):
    """Nothing is lost by it: a book may say so or go on."""

    name = "exchange: a frame comes twice"
    fault = "repeat"
    flag_limit = None


class Truncated(Spoiled):
    name = "exchange: half a frame"
    fault = "truncate"


class WrongChecksum(Spoiled):
    name = "exchange: a wrong checksum"
    fault = "checksum"
    exchanges = ("kraken",)
    times = 4


class Crossed(Spoiled):
    """A bid above the best ask, in a frame like any other; the exchange never takes it back."""

    name = "exchange: a frame crosses its book"
    fault = "cross"


class FinerTick(Spoiled):
    """From now on prices are multiples of a tenth of the tick; only the instruments say so."""

    name = "exchange: the tick becomes finer in mid-stream"
    fault = "refine"
    times = 4
    flag_limit = 1.0  # the next update may have no new price
