"""Recorded exchanges: what `tradeflow record --exchange` or cryptofeed's AsyncFileCallback wrote, over real HTTP and
WebSockets again.  The form of the lines: recording/frame_files.py."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import WSMsgType, web

from tradeflow.recording.frame_files import FrameFiles
from tradeflow.simulator.host import Host

_ANSWER = re.compile(r"(https?://\S+) -> [\d.]+: (.*?)(?: header: \{.*\})?")
_SENT = re.compile(r"wss?://\S+ <- [\d.]+: (.*)")
_FRAME = re.compile(r"([\d.]+): (.*)")


class RecordedConnection:
    """One WebSocket of the recording: what was sent, and each frame with the second it came at."""

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        self.name = name
        self.sent: list[str] = []
        self.frames: list[tuple[float, str]] = []
        for line in lines:
            if match := _SENT.fullmatch(line):
                self.sent.append(match[1])
            elif match := _FRAME.fullmatch(line):
                self.frames.append((float(match[1]), match[2]))


def recorded_names(place: Path | str) -> list[str]:
    """The exchanges that were recorded there.  Raises FileNotFoundError if there is none."""
    names = sorted({name.split(".")[0] for name in FrameFiles(Path(place)).names("*.ws.*")})
    if not names:
        raise FileNotFoundError(f"no recordings (NAME.ws.*) in {place}")
    return names


class RecordedExchange(Host):
    """Serves a recording on 127.0.0.1 while the context lasts.

        async with RecordedExchange(place, "BINANCE") as exchange:
            exchange.rest_url, exchange.ws_url     # bases: the client adds the exchange's own paths

    A REST request is answered with what that path and query was answered with when recorded, in that order,
    the last one again and again.  A WebSocket gets its frames as soon as its client has subscribed (at once,
    where nothing was sent to subscribe): all that were recorded, whatever it asked for, in order, `speed`
    times as fast as they came, by default as fast as they are taken.  Then it stays open and silent.
    Of several recorded connections a client gets, for each message it sends, the one that was subscribed with
    the most similar message.

    Raises FileNotFoundError if there is no such recording, OSError if the port is taken."""

    def __init__(self, place: Path | str, name: str, *, port: int = 0, speed: float | None = None) -> None:
        """`place`: a directory, or one recording."""
        super().__init__(port)
        files = FrameFiles(Path(place))
        sockets = files.names(f"{name}.ws.*")
        if not sockets:
            raise FileNotFoundError(f"no recording {name}.ws.* in {place}")
        self.name = name
        self.exchange = files.exchange
        self.speed = speed
        self.connections = [RecordedConnection(socket, files.lines(socket)) for socket in sockets]
        self.played: set[str] = set()
        """Connections (their file names) of which some client has been sent every frame."""
        self._answers: defaultdict[str, deque[str]] = defaultdict(deque)
        for file in [f"{name}.0", *files.names(f"{name}.http.*")]:
            for line in files.lines(file):
                if match := _ANSWER.fullmatch(line):
                    url = urlsplit(match[1])
                    self._answers[f"{url.path}?{url.query}" if url.query else url.path].append(match[2])

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Without a path; any path is served."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def endpoints(self) -> dict[str, str]:
        """Environment names and URLs; the Kraken of cryptofeed's files is the first version of that protocol."""
        name = self.exchange.upper().replace("-", "_") or {"KRAKEN": "KRAKEN_V1"}.get(self.name, self.name)
        return {f"TRADEFLOW_{name}_REST_URL": self.rest_url, f"TRADEFLOW_{name}_WS_URL": self.ws_url}

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._play(request)
        answers = self._answers.get(request.path_qs)
        if not answers:
            known = ", ".join(self._answers)
            return web.Response(status=404, text=f"{request.path_qs} was not recorded; there are {known}")
        body = answers.popleft() if len(answers) > 1 else answers[0]
        return web.Response(text=body, content_type="application/json")

    async def _play(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        subscribes = any(connection.sent for connection in self.connections)
        players: dict[str, asyncio.Task[None]] = {}

        def play(connection: RecordedConnection) -> None:
            if connection.name not in players:
                players[connection.name] = asyncio.create_task(self._send(socket, connection))

        try:
            if not subscribes:
                play(self.connections[0])
            async for message in socket:
                if message.type is WSMsgType.TEXT and subscribes:
                    play(self._most_like(message.data))
        finally:
            for player in players.values():
                player.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse, connection: RecordedConnection) -> None:
        last = connection.frames[0][0] if connection.frames else 0.0
        with contextlib.suppress(ConnectionError):
            for at, frame in connection.frames:
                if self.speed and at > last:
                    await asyncio.sleep((at - last) / self.speed)
                last = at
                await socket.send_str(frame)
            self.played.add(connection.name)

    def _most_like(self, message: str) -> RecordedConnection:
        words = _words(message)
        return max(
            self.connections,
            key=lambda one: max((len(words & _words(sent)) for sent in one.sent), default=-1),
        )


def _words(message: str) -> set[str]:
    """Every string and number in a JSON message."""

    def leaves(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set().union(*map(leaves, value.values()))
        if isinstance(value, list):
            return set().union(*map(leaves, value))
        return {str(value)}

    try:
        return leaves(orjson.loads(message))
    except orjson.JSONDecodeError:
        return {message}
