"""What the simulated exchanges have in common: connections, subscriptions, and faults on demand."""

from __future__ import annotations

import asyncio
import functools
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

import orjson
from aiohttp import WSMsgType, web

from tradeflow.simulator.book import MarketBook, Update
from tradeflow.simulator.faults import Fate, Fates, Mishaps, crossed, failing
from tradeflow.simulator.market import Market

Frames = Iterable[tuple[str, bytes]]
"""(topic, frame): the frame goes to every connection that subscribed to the topic."""

QUEUE_LIMIT = 50_000
"""Frames that may wait for a slow or paused connection; beyond that it is cut, as exchanges do."""
WRITE_BUFFER = 4 * 1024 * 1024
"""Bytes that may wait in a connection's transport before its frames wait in the queue."""


def rfc3339(at: int, digits: int) -> str:
    """Nanoseconds since the epoch as 2021-07-22T22:36:07.865Z, with so many digits of the second."""
    seconds, fraction = divmod(at, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{fraction // 10 ** (9 - digits):0{digits}d}Z"


@functools.lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class Client:
    """One WebSocket connection.  `send` only queues; one task writes, all that waits at once.

    A system call a frame would be most of a simulator's work, so it frames text messages itself (RFC 6455,
    unmasked as a server's are); aiohttp answers pings and closing on the same transport."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.topics: set[str] = set()
        self._transport = transport
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._mishaps = Mishaps()

    def send(self, frame: bytes, *, fate: Fate = "") -> None:
        """Queue an encoded message; a lost one never leaves, as if the exchange had not sent it."""
        self._queue.extend(self._mishaps.meet(frame, fate) if fate else (frame,))
        self._wake.set()
        if len(self._queue) > QUEUE_LIMIT:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        self._transport.abort()

    async def write(self, running: asyncio.Event) -> None:
        """Send what is queued, whenever `running` is set, until the connection ends."""
        while not self._transport.is_closing():
            await self._wake.wait()
            await running.wait()
            while self._transport.get_write_buffer_size() > WRITE_BUFFER:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            self._wake.clear()
            frames = [self._queue.popleft() for _ in range(min(len(self._queue), 1000))]
            if self._queue:
                self._wake.set()
            self._transport.write(b"".join(part for frame in frames for part in (_header(len(frame)), frame)))


def _header(length: int) -> bytes:
    """Of one whole text message."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)


class Venue(ABC):
    """One simulated exchange on paths under `/<name>`."""

    name: ClassVar[str]

    def __init__(self, market: Market) -> None:
        self.books: dict[str, MarketBook] = {
            book.instrument.name: book
            for book in market.books.values()
            if book.instrument.exchange == self.name
        }
        self.clients: set[Client] = set()
        self.counts: Counter[str] = Counter()
        self._subscribers: defaultdict[str, set[Client]] = defaultdict(set)
        self._running = asyncio.Event()
        self._running.set()
        self._refusing = False
        self._hanging_up = False
        self._rest_fault = ""
        self._fates = Fates()
        self._muted: set[str] = set()

    # --- what each exchange fills in ----------------------------------------------------------------------

    @abstractmethod
    def endpoints(self, http: str, ws: str) -> dict[str, str]:
        """Environment name -> URL, given the two base URLs."""

    @abstractmethod
    def routes(self) -> list[web.RouteDef]: ...

    @abstractmethod
    def received(self, client: Client, message: Any) -> None:
        """A decoded JSON message (or its text, where it isn't JSON)."""

    @abstractmethod
    def book_frames(self, update: Update) -> Frames: ...

    @abstractmethod
    def trade_frames(self, update: Update) -> Frames: ...

    def opened(self, client: Client, request: web.Request) -> None:  # noqa: B027
        """A connection stands; by default nothing is sent."""

    def beat(self, now: int) -> None:  # noqa: B027
        """A second has passed; by default nothing is sent."""

    def new_client(self, transport: asyncio.Transport) -> Client:
        return Client(transport)

    # --- the market's side --------------------------------------------------------------------------------

    def publish(self, update: Update) -> None:
        """Send an update of one of this exchange's books to whoever subscribed to it."""
        symbol = update.book.instrument.symbol
        self.counts["updates"] += 1
        self.counts["trades"] += len(update.trades)
        if update.trades:
            self._broadcast(self.trade_frames(update))
        if symbol in self._muted:
            return
        fate = self._fates.take(symbol)
        self._broadcast(self.book_frames(crossed(update) if fate == "crossed" else update), fate=fate)

    def _broadcast(self, frames: Frames, *, fate: Fate = "") -> None:
        for topic, frame in frames:
            for client in self._subscribers[topic]:
                self.counts["frames"] += 1
                client.send(frame, fate=fate)
                if self._hanging_up:
                    asyncio.get_running_loop().call_later(0.02, client.abort)

    def has_subscribers(self, topic: str) -> bool:
        return bool(self._subscribers.get(topic))

    def subscribe(self, client: Client, topic: str) -> None:
        client.topics.add(topic)
        self._subscribers[topic].add(client)

    def unsubscribe(self, client: Client, topic: str) -> None:
        client.topics.discard(topic)
        self._subscribers[topic].discard(client)

    # --- faults on demand ---------------------------------------------------------------------------------

    def drop(self) -> None:
        """Cut every connection, without a closing handshake."""
        for client in list(self.clients):
            client.abort()

    def refuse(self) -> None:
        """Answer every new request and connection with 503 until `accept`."""
        self._refusing = True

    def accept(self) -> None:
        """End `refuse`, `hang_up` and `fail_rest`."""
        self._refusing = self._hanging_up = False
        self._rest_fault = ""

    def pause(self) -> None:
        """Fall silent: connections stay, what should be sent waits for `resume`."""
        self._running.clear()

    def resume(self) -> None:
        self._running.set()

    def hang_up(self) -> None:
        """Cut every connection after its first frame of the market, until `accept`."""
        self._hanging_up = True

    def fail_rest(self, fault: str) -> None:
        """Answer REST with one of REST_FAULTS, until `accept`."""
        self._rest_fault = fault

    def spoil(self, fault: str, symbol: str) -> None:
        """One of FRAME_FAULTS to the next book frame of a canonical symbol.  Raises KeyError for one not listed."""
        self._listed(symbol)
        self._fates.add(symbol, fault)

    def skip(self, symbol: str) -> None:
        """Lose the next book frame of a canonical symbol: a gap."""
        self.spoil("skip", symbol)

    def mute(self, symbol: str) -> None:
        """Say nothing more of a symbol's book, not even to who subscribes or asks, until `unmute`: its other
        subscriptions and all other symbols go on.  Raises KeyError for a symbol not listed."""
        self._listed(symbol)
        self._muted.add(symbol)

    def unmute(self, symbol: str) -> None:
        self._listed(symbol)
        self._muted.discard(symbol)

    def refine(self, symbol: str) -> None:
        """The tick becomes a tenth of what it was, in mid-stream.  Raises KeyError for a symbol not listed, ValueError
        for one whose tick is too fine already."""
        self._listed(symbol)
        book = next(book for book in self.books.values() if book.instrument.symbol == symbol)
        book.refine()
        self.refined(book)

    def refined(self, book: MarketBook) -> None:  # noqa: B027
        """A book's tick is another one; by default nobody is told who doesn't ask."""

    def is_muted(self, book: MarketBook) -> bool:
        return book.instrument.symbol in self._muted

    def _listed(self, symbol: str) -> None:
        if symbol not in {book.instrument.symbol for book in self.books.values()}:
            raise KeyError(symbol)

    # --- connections --------------------------------------------------------------------------------------

    def guard(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler, but 503 while the exchange refuses."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._refusing:
                raise web.HTTPServiceUnavailable(text=f"{self.name} refuses connections")
            if self._rest_fault and "Upgrade" not in request.headers:
                return await failing(self._rest_fault, handler, request)
            return await handler(request)

        return guarded

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket
        client = self.new_client(transport)
        self.clients.add(client)
        writer = asyncio.create_task(client.write(self._running))
        try:
            self.opened(client, request)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.received(client, _decoded(message.data))
        finally:
            self.clients.discard(client)
            for topic in list(client.topics):
                self.unsubscribe(client, topic)
            writer.cancel()
        return socket


def _decoded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
