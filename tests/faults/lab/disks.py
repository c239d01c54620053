"""Disks that are full: that of a worker's local state, and the broker's."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.cluster import until
from tests.faults.lab.fault import Fault, Span, lasting
from tests.faults.lab.processes import BrokerFault, WorkerFault
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System
from tests.small_disk import NotAllowed, SmallDisk

ROOM = 192
"""MiB beside what is there; Kafka starts with 128."""


class DiskFull(Fault):
    """Its data are moved to a file system in memory before; begins when the process has ended because of it."""

    def missing(self) -> str:
        probe = SmallDisk(Path(tempfile.mkdtemp()))
        try:
            probe.mount(1).unmount()
        except NotAllowed as error:
            return str(error)
        finally:
            probe.directory.rmdir()
        return ""


class WorkerDiskFull(DiskFull, WorkerFault):
    name = "worker: the disk of its local state is full"
    flag_limit = None  # it says so as long as it lives, and then ends in order

    def prepare(self, system: System) -> None:
        self.worker = system.any_worker()
        system.stop(self.worker)
        self._disk = SmallDisk(system.directory / self.worker).mount(ROOM)
        system.start(self.worker)

    def places(self, system: System) -> set[Place]:
        return system.works_of(self.worker)

    def inject(self, system: System) -> Span:
        worker = system.workers[self.worker]
        self._disk.fill()
        until(lambda: not worker.child.running, 60, "the worker ends itself")
        with lasting() as watch:
            said = worker.child.log()
            assert f"local state in {self._disk.directory} can't be written" in said, said[-4000:]
            self._disk.free()
        return Span(watch.begun, watch.begun)

    def tidy(self, system: System) -> None:
        super().tidy(system)
        system.stop(self.worker)
        self._disk.unmount()
        super().tidy(system)


class BrokerDiskFull(DiskFull, BrokerFault):
    name = "broker: its disk is full; started again with room"

    def prepare(self, system: System) -> None:
        kafka = system.cluster.kafka
        kafka.stop()
        self._disk = SmallDisk(kafka.data_dir).mount(ROOM)
        kafka.start()

    def inject(self, system: System) -> Span:
        kafka = system.cluster.kafka
        self._disk.fill()
        until(lambda: not kafka.running, 60, "Kafka ends itself")
        with lasting() as watch:
            self._disk.free()
            kafka.stop()
            kafka.start()
        return watch.span

    def tidy(self, system: System) -> None:
        kafka = system.cluster.kafka
        kafka.stop()
        self._disk.unmount()
        kafka.start()
        super().tidy(system)
