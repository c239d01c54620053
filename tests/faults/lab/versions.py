"""Workers of two versions that run side by side."""

from __future__ import annotations

from itertools import chain

from tests.faults.cluster import SESSION_TIMEOUT
from tests.faults.lab.fault import Fault, Span, lasting
from tests.faults.lab.samples import Place
from tests.faults.lab.system import WORKERS, System
from tradeflow import topics

NEXT = ("tests.faults.lab.next_version",)
FIELD = b'"written_by":"the next version"'


class Rolled(Fault):
    """One worker after the other is stopped and started: with the next version, whose records have a field more, and
    back with this one."""

    name = "workers: a rolling restart to records with a field more, and back"
    flag_limit = None
    live_limit = SESSION_TIMEOUT + 5

    def places(self, system: System) -> set[Place]:
        return set(system.places)

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            for by in (NEXT, ("tradeflow.cli",)):
                for name in WORKERS:
                    system.stop(name)
                    system.start(name, by=by)
        for topic in (topics.orderbook_topic("binance"), topics.MARKET_EVENTS, topics.TOP_OF_BOOK):
            values = [record.value for record in chain(*system.cluster.read(topic).values())]
            assert {FIELD in value for value in values} == {True, False}, (
                f"{topic} has records of one version"
            )
        assert not list(chain(*system.cluster.read(topics.DEAD_LETTERS).values()))
        return watch.span
