"""`RecordedSource`: recorded frames, through the parser that a live source uses."""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols
from yapic import json as cryptofeed_json

from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.instruments import parsed
from tradeflow.feeds.source import FeedError, Sink, Source
from tradeflow.recording.frame_files import FrameFiles


class RecordedFrame(NamedTuple):
    time: float
    """Seconds since the epoch, when the recorder received it."""
    text: str


class Recording:
    """Recorded frames of one exchange; their form: recording/frame_files.py."""

    def __init__(self, place: Path, name: str) -> None:
        """place: a directory, or one recording; name: as in the file names, e.g. `BINANCE`.

        Raises FileNotFoundError."""
        self._files = FrameFiles(place)
        self.head = f"{name}.0"
        self.rest_files = self._files.names(f"{name}.http.*")
        self.socket_files = self._files.names(f"{name}.ws.*")
        if not self._files.names(self.head) or not self.socket_files:
            raise FileNotFoundError(f"no recording {name}.0 with {name}.ws.* in {place}")

    @property
    def symbols(self) -> list[str]:
        """Those whose books were recorded."""
        for line in self._files.lines(self.head):
            if line.startswith("configuration: "):
                return list(json.loads(line.partition(": ")[2])["l2_book"])
        raise FeedError(f"{self.head} has no line `configuration: …`")

    def instruments(self) -> list[Any]:
        """The bodies of the instrument requests, as cryptofeed parses them."""
        return [cryptofeed_json.loads(body, parse_float=Decimal) for _, body in self._answers(self.head)]

    def answers(self) -> dict[str, deque[str]]:
        """Of REST requests made while recording: URL -> bodies, in order."""
        found: dict[str, deque[str]] = defaultdict(deque)
        for file in self.rest_files:
            for url, body in self._answers(file):
                found[url].append(body)
        return found

    def frames(self) -> Iterator[RecordedFrame]:
        """What was received, of all connections, in the order of time."""
        return heapq.merge(*map(self._frames, self.socket_files))

    def _answers(self, file: str) -> Iterator[tuple[str, str]]:
        for line in self._files.lines(file):
            url, arrow, rest = line.partition(" -> ")
            if arrow and url.startswith("http"):
                yield url, rest.partition(": ")[2].partition(" header: ")[0]

    def _frames(self, file: str) -> Iterator[RecordedFrame]:
        for line in self._files.lines(file):
            # What was sent, and the connecting, begin with the address.
            if line[:1].isdigit():
                moment, _, text = line.partition(": ")
                yield RecordedFrame(float(moment), text)


class RecordedSource(Source):
    """Plays a recording to its end, then returns, like a live source whose exchange closed the connection."""

    def __init__(
        self, live: CryptofeedSource, recording: Recording, *, pace: float = 0.0, recorded_times: bool = False
    ) -> None:
        """live: whose parser to use; pace: seconds of playing for each recorded second, 0 = no waiting;
        recorded_times: receipt times as recorded, instead of now."""
        self.exchange = live.exchange
        self.symbols = live.symbols
        self._live = live
        self._recording = recording
        self._pace = pace
        self._recorded_times = recorded_times

    async def run(self, sink: Sink) -> None:
        feed_class = self._live.feed_class
        if bodies := self._recording.instruments():
            instruments = parsed(feed_class, bodies)
        else:  # a source that asks for none
            instruments = await self._live._load_instruments()
        if self._recorded_times:
            instruments = instruments._replace(time=round(next(self._recording.frames()).time * 1e9))
        Symbols.set(feed_class.id, instruments.symbols, instruments.info)
        feed = self._live._make_feed(sink, instruments)
        await self._live._close(feed)
        # What a source asks for beside its connection, the recording can't answer.
        feed.spawn = lambda work: work.close()
        feed.http_conn = connection = _RecordedConnection(self._recording.answers())
        parts = feed.connect()
        for live_connection, subscribe, _, _ in parts:
            connection.subscription = live_connection.subscription
            await subscribe(connection)
        await self._play(feed, parts[0][2], connection)

    async def _play(self, feed: Feed, handler: Any, connection: _RecordedConnection) -> None:
        started = time.monotonic()
        first = None
        for number, frame in enumerate(self._recording.frames()):
            first = frame.time if first is None else first
            ahead = started + (frame.time - first) * self._pace - time.monotonic()
            if ahead > 0 or number % 50 == 0:
                await asyncio.sleep(max(ahead, 0))
            feed.receipt_time = round(frame.time * 1e9) if self._recorded_times else time.time_ns()
            feed.sink.alive(feed.receipt_time)
            await self._live._handle(feed, handler, frame.text, connection)


class _RecordedConnection:
    """Stands for both of a Feed's connections: what it sends is dropped, what it requests was recorded."""

    uuid = id = "recording"

    def __init__(self, answers: dict[str, deque[str]]) -> None:
        self.subscription: Any = None
        self._answers = answers

    async def write(self, *_: Any) -> None:
        pass

    async def read(self, url: str, **_: Any) -> str:
        if not self._answers[url]:
            raise FeedError(f"the recording has no further answer of {url}")
        return self._answers[url].popleft()
