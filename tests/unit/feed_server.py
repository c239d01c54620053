"""A scripted exchange for tests of sources: real HTTP and WebSockets on loopback, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from tradeflow.messages import Listing, Raw

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FeedServer:
    """rest: path -> JSON object or handler; on_open and on_message answer on each WebSocket."""

    def __init__(
        self,
        rest: dict[str, Any],
        *,
        on_open: Callable[[web.WebSocketResponse], Awaitable[None]] | None = None,
        on_message: Callable[[web.WebSocketResponse, Any], Awaitable[None]] | None = None,
    ) -> None:
        self.rest = rest
        self.on_open = on_open
        self.on_message = on_message
        self.requests: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.transports: list[asyncio.Transport] = []
        self.received: list[Any] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FeedServer:
        app = web.Application()
        app.router.add_route("GET", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Every WebSocket's TCP connection ends without a close frame."""
        for transport in self.transports:
            transport.abort()
        self.transports.clear()
        self.sockets.clear()

    async def send(self, message: Any) -> None:
        for socket in self.sockets:
            await (socket.send_str(message) if isinstance(message, str) else socket.send_json(message))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        self.requests.append(request.path_qs)
        answer = self.rest.get(request.path)
        if answer is None:
            return web.Response(status=404)
        return await answer(request) if callable(answer) else web.json_response(answer)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        self.transports.append(request.transport)
        self.sockets.append(socket)
        if self.on_open is not None:
            await self.on_open(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.received.append(message.json())
                if self.on_message is not None:
                    await self.on_message(socket, message.json())
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket


class Records:
    """A Sink that keeps everything; `books`: symbol -> ({bid: size}, {ask: size}), strings, at full depth."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.books: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self.last_alive = 0
        self.gaps: dict[str, str] = {}
        """Books that wait for a snapshot, and why."""
        self.strays = 0
        """Deltas after a gap and before its snapshot: none, where the source takes the book anew."""
        self.resync: Callable[[str], bool] = bool
        """Called for each gap at once, as a supervisor does at first."""

    def book(self, symbol: str, **fields: Any) -> None:
        if symbol in self.gaps and not fields["snapshot"]:
            self.strays += 1
            return
        self.gaps.pop(symbol, None)
        fields = {"exchange_sequence": None, "checksum": None, "depth": None, **fields}
        self.events.append(("book", symbol, fields))
        if fields["snapshot"]:
            self.books[symbol] = ({}, {})
        for side, changes in zip(self.books[symbol], (fields["bids"], fields["asks"]), strict=True):
            for price, size in changes:
                if float(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
        if depth := fields["depth"]:
            bids, asks = self.books[symbol]
            for side, worst in ((bids, min), (asks, max)):
                while len(side) > depth:
                    del side[worst(side, key=Decimal)]

    def trade(self, symbol: str, **fields: Any) -> None:
        self.events.append(("trade", symbol, fields))

    def instrument(self, symbol: str, listing: Listing, **fields: Any) -> None:
        self.events.append(("instrument", symbol, {"listing": listing, **fields}))

    def alive(self, receipt_time: int) -> None:
        self.last_alive = receipt_time

    def gap(self, symbol: str, reason: str) -> None:
        self.events.append(("gap", symbol, {"reason": reason}))
        self.gaps[symbol] = reason
        self.resync(symbol)

    def unavailable(self, symbol: str, reason: str) -> None:
        self.events.append(("unavailable", symbol, {"reason": reason}))

    def of(self, kind: str, symbol: str | None = None) -> list[dict[str, Any]]:
        return [fields for k, s, fields in self.events if k == kind and symbol in (None, s)]


class Sent:
    """A publisher's `send` that keeps the records, decoded, and is full after `room` of them."""

    def __init__(self) -> None:
        self.records: list[tuple[str, int, bytes, Any]] = []
        self.room = 10**9

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        if len(self.records) >= self.room:
            raise BufferError("67108864 bytes wait for Kafka")
        self.records.append((topic, partition, key, msgspec.json.decode(value, type=Raw)))

    def of(self, kind: type, symbol: str = "BTC-USDT") -> list[Any]:
        return [r for *_, r in self.records if isinstance(r, kind) and r.symbol == symbol]


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """The condition's first true value; AssertionError if there is none in time."""
    end = asyncio.get_running_loop().time() + seconds
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < end, "the condition didn't come true in time"
        await asyncio.sleep(0.01)
    return value
