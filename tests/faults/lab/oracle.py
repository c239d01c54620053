"""`Oracle`: samples the served books all the time and holds each that says `live` to the exchange's own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Self

import aiohttp

from tests.faults.lab.samples import Place, Sample
from tests.faults.lab.verdict import Verdict, age, difference, moment

DEPTH = 100_000
PATIENCE = aiohttp.ClientTimeout(total=2.0)
"""Of a question to a worker; a frozen one answers nothing."""
TRUTH_PATIENCE = 30.0
"""Of a question to the simulator, which may be frozen on purpose."""


class Oracle:
    """Asks each worker for each book, at full depth, in a thread of its own; at `pause` seconds between two
    questions of a pair, `focus_pause` where a fault is being watched.

    `workers`: name -> URL, read anew for each question.  `old_after`: seconds that the exchange may have moved
    on while a book is called live.  `tamper`: changes what was served, to test the oracle itself."""

    def __init__(
        self,
        truth_url: str,
        places: Iterable[Place],
        workers: dict[str, str],
        *,
        old_after: float,
        pause: float = 0.25,
        focus_pause: float = 0.05,
        tamper: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.truth_url, self.places, self.workers = truth_url, list(places), workers
        self.old_after, self.pause, self.focus_pause = old_after, pause, focus_pause
        self.tamper = tamper
        self.focus: frozenset[Place] = frozenset()
        self.samples: list[Sample] = []
        self.counts: Counter[str] = Counter()
        """By kind of verdict."""
        self.by_exchange: Counter[str] = Counter()
        """Comparisons: right, wrong and old ones."""
        self.first: dict[str, str] = {}
        """The first detail of each kind that is bad."""
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="oracle", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._started

    @property
    def comparisons(self) -> int:
        return sum(self.counts[kind] for kind in ("right", "wrong", "old"))

    @property
    def bad(self) -> int:
        """Answers that said live and were not the exchange's book, or no longer."""
        return self.counts["wrong"] + self.counts["old"]

    def since(self, moment: float) -> list[Sample]:
        """Samples that were asked for since then."""
        found = []
        for sample in reversed(self.samples):
            if sample.end < moment:
                break
            if sample.start >= moment:
                found.append(sample)
        return found

    def last(self, places: Iterable[Place]) -> dict[Place, Sample]:
        """The last answer about each book."""
        wanted, found = set(places), {}
        for sample in reversed(self.samples):
            if sample.place in wanted and sample.state != "unserved":
                found.setdefault(sample.place, sample)
                if len(found) == len(wanted):
                    break
        return found

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self.failure = error
            raise

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._pair(session, group, name, place))
                for name in self.workers
                for place in self.places
            ]
            while not self._stop.is_set() and not any(task.done() for task in tasks):
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()

    async def _pair(
        self, session: aiohttp.ClientSession, group: asyncio.TaskGroup, worker: str, place: Place
    ) -> None:
        await asyncio.sleep(self.pause * hash((worker, place)) % 100 / 100)
        judging: asyncio.Task[None] | None = None
        while True:
            began = time.monotonic()
            sample, book = await self._ask(session, worker, place)
            self.samples.append(sample)
            if book is None:
                self.counts[sample.state if sample.state == "unserved" else "flagged"] += 1
            elif judging and not judging.done():
                self.counts["unasked"] += 1
            else:
                judging = group.create_task(self._judge(session, book, sample.start))
            pause = self.focus_pause if place in self.focus else self.pause
            await asyncio.sleep(max(0.01, pause - (time.monotonic() - began)))

    async def _ask(
        self, session: aiohttp.ClientSession, worker: str, place: Place
    ) -> tuple[Sample, dict[str, Any] | None]:
        """The answer, and the book if it says that it is live."""
        start = time.time()
        try:
            url = f"{self.workers[worker]}/books/{place[0]}/{place[1]}?depth={DEPTH}"
            async with session.get(url, timeout=PATIENCE) as response:
                book = await response.json(content_type=None)
                reason = "" if response.status == 200 else str(book.get("detail"))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = repr(error)
        if reason:
            return Sample(start, time.time(), worker, place, "unserved", reason), None
        provenance = (book[name] for name in ("state", "reason", "epoch", "since", "receipt_time"))
        sample = Sample(start, time.time(), worker, place, *provenance)
        if self.tamper:
            self.tamper(book)
        return sample, book if sample.live else None

    async def _judge(self, session: aiohttp.ClientSession, book: dict[str, Any], start: float) -> None:
        verdict = await self._verdict(session, book, start)
        self.counts[verdict.kind] += 1
        if verdict.kind in ("right", "wrong", "old"):
            self.by_exchange[book["exchange"]] += 1
        if verdict.kind in ("wrong", "old", "forgotten"):
            self.first.setdefault(verdict.kind, verdict.detail)

    async def _verdict(self, session: aiohttp.ClientSession, book: dict[str, Any], start: float) -> Verdict:
        allowed = int((start - self.old_after) * 1e9)
        at = moment(book)
        if at is None:
            return Verdict("unplaced")
        name = f"{self.truth_url}/truth/{book['exchange']}/{book['symbol']}"
        true = await self._truth(session, f"{name}?{at}")
        if "error" in true:
            return Verdict("forgotten", true["error"])
        if differs := difference(book, true):
            return Verdict("wrong", differs)
        if true["time"] < allowed:  # then the exchange must have been just as quiet
            later = await self._truth(session, f"{name}?time={allowed}&depth=1")
            if later.get("sequence", 0) > true["sequence"]:
                return Verdict("old", age(book, start))
        return Verdict("right")

    async def _truth(self, session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
        deadline = time.monotonic() + TRUTH_PATIENCE
        while True:
            try:
                async with session.get(url, timeout=PATIENCE) as response:
                    return dict(await response.json())
            except (aiohttp.ClientError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
