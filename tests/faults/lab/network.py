"""A worker in a network of its own (Linux: a network namespace), whose link to the broker can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Self
from urllib.parse import urlsplit

from tests.faults.cluster import SESSION_TIMEOUT
from tests.faults.lab.fault import Span, lasting
from tests.faults.lab.processes import WorkerFault
from tests.faults.lab.samples import Place
from tests.faults.lab.system import System
from tradeflow.ports import free_port

NAME = "tradeflow-lab"
OUTSIDE, INSIDE = "10.203.77.1", "10.203.77.2"
LINKS = ("tradeflow0", "tradeflow1")


class Namespace:
    """A network namespace with one link, from OUTSIDE to INSIDE."""

    def __enter__(self) -> Self:
        with contextlib.suppress(subprocess.CalledProcessError):  # left over from one that was killed
            self.__exit__()
        _ip("netns", "add", NAME)
        _ip("link", "add", LINKS[0], "type", "veth", "peer", "name", LINKS[1], "netns", NAME)
        _ip("address", "add", f"{OUTSIDE}/30", "dev", LINKS[0])
        _ip("-n", NAME, "address", "add", f"{INSIDE}/30", "dev", LINKS[1])
        for command in (("link", "set", LINKS[0], "up"), ("-n", NAME, "link", "set", LINKS[1], "up")):
            _ip(*command)
        _ip("-n", NAME, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        # The link by itself, and first: with its namespace it would go a while later, and be in the next one's way.
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "delete", LINKS[0])
        _ip("netns", "delete", NAME)

    def cut(self) -> None:
        """Whatever is sent gets lost, and nobody is told."""
        _ip("link", "set", LINKS[0], "down")

    def mend(self) -> None:
        _ip("link", "set", LINKS[0], "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def inside() -> Iterator[None]:
    """Sockets that this thread makes meanwhile belong to the namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(Path("/run/netns") / NAME, os.O_RDONLY)
        try:
            os.setns(there, os.CLONE_NEWNET)
        finally:
            os.close(there)
        yield
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)


class Passages:
    """What else a worker in there needs: a port of 127.0.0.1 on one side leads to the same one on the other."""

    def __init__(self, *, into: list[int], out_of: list[int]) -> None:
        """Ports of servers on the other side: seen from within, and from outside."""
        self._into, self._out_of = into, out_of
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        for port in self._into:
            with inside():
                listening = self._listen(port)
            self._servers.append(
                await asyncio.start_server(
                    lambda r, w, p=port: self._pass(r, w, p, contextlib.nullcontext), sock=listening
                )
            )
        for port in self._out_of:
            self._servers.append(
                await asyncio.start_server(
                    lambda r, w, p=port: self._pass(r, w, p, inside), sock=self._listen(port)
                )
            )

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # what is being accepted becomes a task, too
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _listen(self, port: int) -> socket:
        listening = socket(AF_INET, SOCK_STREAM)
        listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.setblocking(False)
        return listening

    async def _pass(self, reader, writer, port, where) -> None:  # type: ignore[no-untyped-def]
        with where():
            other = socket(AF_INET, SOCK_STREAM)
        other.setblocking(False)
        try:
            await self._loop.sock_connect(other, ("127.0.0.1", port))
            onward = await asyncio.open_connection(sock=other)
            await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))
        except OSError:
            other.close()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


class CutOff(WorkerFault):
    """Longer than its session; exchanges, the other worker and whoever asks it still reach it."""

    name = "worker: cut off from the broker beyond the session timeout"
    times = 3

    def missing(self) -> str:
        if not shutil.which("ip"):
            return "ip: apt-get install iproute2"
        try:
            with Namespace(), inside():
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return f"the right to make network namespaces (root on Linux): {error}"

    def prepare(self, system: System) -> None:
        self.worker = system.any_worker()
        system.stop(self.worker)
        self._all = contextlib.ExitStack()
        self._network = self._all.enter_context(Namespace())
        port, controller = system.cluster.kafka.port, free_port()
        far = f"{OUTSIDE}:{free_port()}"
        system.cluster.restart_kafka(
            controller_quorum_voters=f"1@127.0.0.1:{controller}",
            listeners=f"PLAINTEXT://127.0.0.1:{port},FAR://{far},CONTROLLER://127.0.0.1:{controller}",
            advertised_listeners=f"PLAINTEXT://127.0.0.1:{port},FAR://{far}",
            listener_security_protocol_map="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT",
        )
        worker = system.start(
            self.worker, wait=False, by=("tests.faults.lab.inside", NAME), KAFKA_BROKERS=far
        )
        others = [one.port for name, one in system.workers.items() if name != self.worker]
        exchanges = urlsplit(system.truth_url).port or 0
        self._all.enter_context(Passages(into=[exchanges, *others], out_of=[worker.port]))
        worker.wait_ready()

    def places(self, system: System) -> set[Place]:
        return system.works_of(self.worker)

    def inject(self, system: System) -> Span:
        with lasting() as watch:
            self._network.cut()
            time.sleep(SESSION_TIMEOUT + 4)
            self._network.mend()
        return watch.span

    def tidy(self, system: System) -> None:
        super().tidy(system)  # it has joined again
        system.stop(self.worker)
        self._all.close()
        system.cluster.restart_kafka()
        super().tidy(system)
