"""What readers of `/stream` cost the worker: raw → order with none, and with fifty of which one is frozen, in turns."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from bench.latency import TRADEFLOW, Latency, punctual, running
from bench.load import symbols
from bench.processes import ROOT

READERS = 50
SYMBOLS = 4
"""So many different ones the readers look at: each has its levels and trades made."""
READING = "reading\n"


@contextmanager
def reading(url: str) -> Iterator[None]:
    """READERS while the block lasts, one of which never reads; in a process of their own, as browsers are."""
    command = [sys.executable, "-m", "bench.readers", url]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        if child.stdout is None or child.stdout.readline() != READING:
            raise RuntimeError("the readers got nothing")
        yield
        child.communicate()  # the end of its input ends it


async def read(url: str) -> None:
    """Until the end of standard input."""
    looked_at = symbols(SYMBOLS)
    first = [asyncio.Event() for _ in range(READERS - 1)]

    async def one(place: int, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{url}/stream?symbol={looked_at[place % SYMBOLS]}") as response:
            async for _ in response.content.iter_any():
                first[place].set()

    with socket.socket() as frozen:
        frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = url.removeprefix("http://").partition(":")
        frozen.connect((host, int(port)))
        frozen.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        unlimited = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=unlimited, connector=connector) as session:
            tasks = [asyncio.create_task(one(place, session)) for place in range(READERS - 1)]
            async with asyncio.timeout(30):
                await asyncio.gather(*(event.wait() for event in first))
            sys.stdout.write(READING)
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
            for task in tasks:
                task.cancel()


async def compare(rate: int, seconds: float, pairs: int) -> list[tuple[Latency, Latency]]:
    """(without, with) readers, `pairs` times, on one worker."""
    found = []
    async with running(TRADEFLOW) as (trial, _, url):
        for _ in range(pairs):
            without = await trial.rate("none", rate, seconds)
            with reading(url):
                found.append((without, await trial.rate(f"{READERS}, one frozen", rate, seconds)))
    return found


def readers(rate: int, seconds: float, pairs: int) -> None:
    """Prints each pair, and the medians."""
    found = punctual(compare(rate, seconds, pairs))
    print(f"readers of /stream, {rate} records a second, {seconds:g} s each: ms, raw → order\n")
    print("| p50 without | with | p99 without | with |\n|---:|---:|---:|---:|")
    for without, with_readers in found:
        print(f"| {without.p50:.2f} | {with_readers.p50:.2f} | {without.p99:.2f} | {with_readers.p99:.2f} |")
    for name in ("p50", "p99"):
        without_, with_ = (statistics.median(getattr(pair[side], name) for pair in found) for side in (0, 1))
        print(f"{name}, medians: {without_:.2f} → {with_:.2f} ms, {100 * (with_ / without_ - 1):+.1f} %")


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1]))
