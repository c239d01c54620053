"""Faults of workers, of the broker, and of what they keep on disk."""

from __future__ import annotations

import os
import shutil
import signal
import time

from tests.faults.cluster import SESSION_TIMEOUT, until
from tests.faults.lab.fault import QUIET, Fault, Span, lasting
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System
from tests.faults.test_agreement import other_maps, refusal


class WorkerFault(Fault):
    """Hits what one worker, drawn at random, owns and feeds."""

    flag_limit = QUIET  # a dead feed can't say that it is; the books' owner notices the silence
    live_limit = SESSION_TIMEOUT + 5
    worker = ""

    def places(self, system: System) -> set[Place]:
        self.worker = system.any_worker()
        return system.works_of(self.worker)


class Killed(WorkerFault):
    name = "worker: kill -9"
    times = 20

    def inject(self, system: System) -> Span:
        time.sleep(system.random.uniform(0, 1))  # anywhere between two checkpoints
        with lasting() as watch:
            system.workers[self.worker].kill()
        return Span(watch.begun, watch.begun)


class KilledAgain(WorkerFault):
    """Who takes over from a killed worker is killed in its turn, around its first checkpoint."""

    name = "worker: kill -9, then of who has taken over"
    times = 6
    live_limit = SESSION_TIMEOUT + 10  # with the start of both workers

    def places(self, system: System) -> set[Place]:
        return set(system.places)

    def inject(self, system: System) -> Span:
        first = system.any_worker()
        second = next(name for name in system.workers if name != first)
        system.workers[first].kill()
        until(lambda: system.owns_everything(second), SESSION_TIMEOUT + 10, f"{second} takes over")
        time.sleep(system.random.uniform(0, 1.5))
        with lasting() as watch:
            system.workers[second].kill()
        system.revive()
        return Span(watch.begun, watch.begun)


class Terminated(WorkerFault):
    name = "worker: SIGTERM"
    times = 3

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.stop(self.worker)
        return watch.span


class Frozen(WorkerFault):
    """Its partitions move while it sleeps; what it says in its first second awake counts like all else."""

    name = "worker: SIGSTOP beyond the session timeout, SIGCONT"
    times = 3

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.freeze(system.workers[self.worker].child.pid, SESSION_TIMEOUT + 2)
        return watch.span


class LostDirectory(WorkerFault):
    """kill -9, and its local state is gone when it starts again."""

    name = "worker: kill -9, local state deleted"
    times = 2

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.workers[self.worker].kill()
            shutil.rmtree(system.directory / self.worker)
        return Span(watch.begun, watch.begun)


class BrokerFault(Fault):
    flag_limit = QUIET
    live_limit = 15.0

    def places(self, system: System) -> set[Place]:
        return set(system.places)


class BrokerKilled(BrokerFault):
    name = "broker: kill -9, started again on its data"
    times = 3

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.cluster.kafka.kill()
            time.sleep(QUIET)
            system.cluster.kafka.start()
        return watch.span


class BrokerFrozen(BrokerFault):
    name = "broker: frozen for 8 s"
    times = 3

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            system.freeze(system.cluster.kafka.pid, 8)
        return watch.span


class BrokerWiped(BrokerFault):
    """All is stopped; an empty Kafka comes to the same address; the workers keep their local states."""

    name = "broker: wiped under kept local states"
    live_limit = 30.0  # with the start of both workers

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            for worker in system.workers.values():
                os.kill(worker.child.pid, signal.SIGTERM)
            for worker in system.workers.values():
                worker.child.wait()
            kafka = system.cluster.kafka
            kafka.kill()
            shutil.rmtree(kafka.data_dir / "logs")
            kafka.start()
        system.revive()
        return watch.span


class Differing(Fault):
    """A worker that doesn't agree with the others wants to join: it is refused, and nobody else notices."""

    flag_limit = None
    says: str

    def env(self, system: System) -> dict[str, str]:
        return {}

    def by(self) -> tuple[str, ...]:
        return ("tradeflow.cli",)

    def places(self, system: System) -> set[Place]:
        return set(system.places)

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            stranger = system.cluster.worker("w3", by=self.by(), **self.env(system))
            assert self.says in refusal(stranger)
        return watch.span


class OtherMaps(Differing):
    name = "a third worker with other partition maps (refused)"
    says = "the partition maps differ"

    def env(self, system: System) -> dict[str, str]:
        return {"TRADEFLOW_PARTITION_MAPS": str(other_maps(system.cluster, system.directory / "maps"))}


class OtherBooks(Differing):
    name = "a third worker with other EXCHANGES (refused)"
    says = "book kraken/"

    def env(self, system: System) -> dict[str, str]:
        return {"EXCHANGES": "binance,coinbase,bitmex"}


class OtherTopics(Differing):
    """An agent of the user's own on one more topic: Kafka would share the partitions out to different workers."""

    name = "a third worker that reads one more topic (refused)"
    says = "topic trades: read here, none there"

    def by(self) -> tuple[str, ...]:
        return ("faust", "-A", "tests.faults.lab.reader")
