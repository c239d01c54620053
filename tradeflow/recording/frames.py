"""What an exchange sends, as it comes over the wire: WebSocket frames and REST bodies, into a recording."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tradeflow.feeds.registry import make_source
from tradeflow.feeds.source import FeedError, Source
from tradeflow.messages import Listing
from tradeflow.partitions import load_maps
from tradeflow.recording import frame_files as lines
from tradeflow.recording.form import Header, NotRecordable, Record, version
from tradeflow.recording.writer import RecordingWriter
from tradeflow.settings import Settings
from tradeflow.symbols import canonical_symbol

log = logging.getLogger(__name__)

RECONNECT = 1.0
"""Seconds."""


class FrameRecorder:
    """In the place of cryptofeed's AsyncFileCallback: each line into a recording.

    `public`: configured endpoint → the exchange's own, which is what the lines name, wherever they came from."""

    def __init__(self, writer: RecordingWriter, public: Mapping[str, str] | None = None) -> None:
        self._writer = writer
        self._public = public or {}

    def line(self, file: str, moment: float, text: str) -> None:
        """`file`: without the `.0` that cryptofeed adds."""
        offset = self._writer.written
        self._writer.write(Record(f"{file}.0", 0, offset, int(moment * 1000), None, text.encode()))

    async def __call__(self, data: Any, timestamp: float, uuid: str, **what: Any) -> None:
        self.sync_callback(data, timestamp, uuid, **what)

    def sync_callback(
        self,
        data: Any,
        timestamp: float,
        uuid: str,
        endpoint: str | None = None,
        send: str | None = None,
        connect: str | None = None,
        header: Any = None,
    ) -> None:
        if endpoint:
            text = lines.answered(self._named(endpoint), timestamp, data, header)
        elif send:
            text = lines.sent(self._named(send), timestamp, data)
        elif connect:
            text = lines.connected(self._named(connect), timestamp)
        else:
            text = lines.received(timestamp, data)
        self.line(uuid, timestamp, text)

    def _named(self, url: str) -> str:
        for ours, theirs in self._public.items():
            if url.startswith(ours):
                return theirs + url.removeprefix(ours)
        return url


class _Sink:
    """Nobody reads what the parser makes of the frames; but a book that it misses something of is taken anew."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def book(self, symbol: str, **_: Any) -> None: ...

    def trade(self, symbol: str, **_: Any) -> None: ...

    def instrument(self, symbol: str, listing: Listing, *, receipt_time: int) -> None: ...

    def alive(self, receipt_time: int) -> None: ...

    def gap(self, symbol: str, reason: str) -> None:
        asyncio.get_running_loop().call_soon(self._source.resync, symbol)

    def unavailable(self, symbol: str, reason: str) -> None:
        log.warning("%s", reason)


async def record_frames(
    config: Settings, file: Path, exchange: str, symbols: list[str], go_on: Callable[[], bool]
) -> tuple[int, bool]:
    """Record while `go_on()`; connects again where a connection ends.  Returns how many lines, and True.

    Raises NotRecordable for an exchange or symbols that can't be."""
    from cryptofeed.connection import Connection

    maps = load_maps(config.partition_maps)
    chosen = [canonical_symbol(symbol) for symbol in symbols] or sorted(maps.exchanges.get(exchange, ()))
    try:
        source: Any = make_source(exchange, chosen, config)
    except ValueError as error:
        raise NotRecordable(str(error)) from None
    if not chosen:
        raise NotRecordable(f"name --symbols: {exchange} has no partition map")
    header = Header(
        tradeflow=version(),
        holds="frames",
        created=time.time_ns(),
        exchange=exchange,
        books=[(exchange, symbol) for symbol in chosen],
    )
    with file.open("xb") as data, RecordingWriter(data, header) as writer:
        recorder = FrameRecorder(writer, _public_endpoints(source, exchange))
        recorder.line(source.feed_class.id, time.time(), lines.configuration(chosen))
        Connection.raw_data_callback = recorder
        work = asyncio.create_task(_connect(source))
        try:
            while go_on() and not work.done():
                await asyncio.wait([work], timeout=0.1)
        finally:
            Connection.raw_data_callback = None
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
    return writer.written, True


def _public_endpoints(source: Any, exchange: str) -> dict[str, str]:
    public: Any = make_source(exchange, [], Settings.model_construct())
    ours, theirs = source.feed_class, public.feed_class
    pairs = [
        *zip(ours.rest_endpoints, theirs.rest_endpoints, strict=True),
        *zip(ours.websocket_endpoints, theirs.websocket_endpoints, strict=True),
    ]
    # cryptofeed calls a plain address wss:// until it connects (feeds/endpoints.py).
    return {
        name: their.address
        for our, their in pairs
        for name in (our.address, our.address.replace("wss://", "ws://", 1))
        if our.address != their.address
    }


async def _connect(source: Source) -> None:
    while True:
        try:
            await source.run(_Sink(source))
            log.warning("%s closed the connection", source.exchange)
        except (FeedError, OSError, ExceptionGroup) as error:
            log.warning("%s: %s", source.exchange, error)
        await asyncio.sleep(RECONNECT)
