"""The stream: the latest of everything, composed once for all readers, and none of them waited for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tradeflow.web import stream as module
from tradeflow.web.board import Board
from tradeflow.web.stream import Full, Part, Stream

INTERVAL = 0.02


class Site:
    """A real server whose books change at every tick, and whose readers are told of it."""

    def __init__(self, limit: int = 100, padding: int = 0) -> None:
        self.asked = Counter[str]()
        self.books: dict[str, Any] = {"a": 0}
        self.padding = "x" * padding
        self.stream = Stream(
            [
                Part("books", self._books),
                Part("levels", self._levels, of_symbol=True),
                Part("slow", self._slow, interval=1000.0),
                Part("broken", self._broken),
            ],
            interval=INTERVAL,
            limit=limit,
        )
        self.url = ""

    async def _books(self, _: str) -> Any:
        self.asked["books"] += 1
        return [(name, [name, value, self.padding]) for name, value in self.books.items()]

    async def _levels(self, symbol: str) -> Any:
        self.asked[symbol] += 1
        return [(symbol, symbol)]

    async def _slow(self, _: str) -> Any:
        self.asked["slow"] += 1
        return [("slow", 1)]

    async def _broken(self, _: str) -> Any:
        raise RuntimeError("a part that fails holds no other up")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await self.stream.serve(request, response, request.query.get("symbol", ""))
        except Full as full:
            return web.Response(status=503, text=str(full))
        return response


@pytest.fixture
async def sites() -> AsyncIterator[Any]:
    runners = []

    async def start(**options: int) -> Site:
        site = Site(**options)
        app = web.Application()
        app.router.add_get("/stream", site.handle)
        app.on_shutdown.append(lambda _: asyncio.sleep(0, site.stream.end()))
        runner = web.AppRunner(app, shutdown_timeout=5)
        await runner.setup()
        server = web.TCPSite(runner, "127.0.0.1", 0)
        await server.start()
        site.url = f"http://127.0.0.1:{server._server.sockets[0].getsockname()[1]}/stream"
        runners.append(runner)
        return site

    yield start
    for runner in runners:
        await runner.cleanup()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.content:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def next_of(found: AsyncIterator[tuple[str, Any]], wanted: str) -> Any:
    async with asyncio.timeout(5):
        async for name, data in found:
            if name == wanted:
                return data
    raise AssertionError(f"the stream ended before {wanted}")


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


# -- the board


def test_a_board_tells_what_has_changed_since_latest_only():
    board = Board(10)
    board.put("a", 1, 1)
    board.put("b", 2, 1)
    board.put("a", 3, 2)
    board.put("b", 2, 2)
    assert board.since(-1) == [b"2", b"3"]
    assert board.since(1) == [b"3"]
    assert board.since(2) == []


def test_a_board_keeps_what_changed_last():
    board = Board(2)
    for number in range(5):
        board.put(number, number, number)
    board.put(3, "three", 5)
    assert board.since(-1) == [b"4", b'"three"']


# -- the stream


async def test_a_reader_gets_everything_and_then_what_changes(sites):
    site = await sites()
    async with aiohttp.ClientSession() as session, session.get(site.url) as response:
        found = events(response)
        assert await next_of(found, "books") == [["a", 0, ""]]
        assert await next_of(found, "beat") > 1_600_000_000_000
        site.books |= {"a": 1, "b": 2}
        assert await next_of(found, "books") == [["a", 1, ""], ["b", 2, ""]]
        site.books["b"] = 3
        assert await next_of(found, "books") == [["b", 3, ""]]


async def test_where_nothing_changes_a_beat_says_that_the_worker_lives(sites, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.05)
    site = await sites()
    async with aiohttp.ClientSession() as session, session.get(site.url) as response:
        found = events(response)
        beats = [await next_of(found, "beat") for _ in range(4)]
    assert beats[-1] - beats[1] >= 90  # milliseconds: not at each tick


async def test_levels_are_asked_for_once_for_all_who_look_at_the_symbol(sites):
    site = await sites()
    async with aiohttp.ClientSession() as session:
        readers = [await session.get(f"{site.url}?symbol=X") for _ in range(5)]
        for reader in readers:
            assert await next_of(events(reader), "levels") == ["X"]
        asked = site.asked.copy()
        await until(lambda: site.asked["books"] >= asked["books"] + 10)
        grown = site.asked - asked
        assert grown["X"] <= grown["books"] + 1
        assert asked["slow"] == 1
        assert grown["slow"] == 0, "its interval isn't over"
        for reader in readers:
            reader.close()
        await until(lambda: site.stream.clients == 0)
    await until(lambda: site.stream._task.done())
    idle = site.asked.copy()
    await asyncio.sleep(5 * INTERVAL)
    assert site.asked == idle, "nobody reads, and yet it works"


async def test_there_is_a_limit_of_readers(sites):
    site = await sites(limit=2)
    async with aiohttp.ClientSession() as session:
        first, _second = await session.get(site.url), await session.get(site.url)
        async with session.get(site.url) as third:
            assert third.status == 503
            assert "2 read already: TRADEFLOW_STREAM_CLIENTS" in await third.text()
        assert (site.stream.clients, site.stream.refused) == (2, 1)
        first.close()
        await until(lambda: site.stream.clients == 1)
        async with session.get(site.url) as fourth:
            assert fourth.status == 200


async def test_a_frozen_reader_is_passed_over_then_cut_off_and_the_others_go_on(sites, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    site = await sites(padding=100_000)
    frozen = socket.socket()
    frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    frozen.connect(("127.0.0.1", int(site.url.split(":")[2].split("/")[0])))
    frozen.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    async with aiohttp.ClientSession() as session:
        readers = [events(await session.get(site.url)) for _ in range(50)]
        await until(lambda: site.stream.clients == 51)
        written = 0
        while site.stream.dropped == 0:
            site.books["a"] += 1
            for reader in readers:
                while (await next_of(reader, "books"))[-1][1] < site.books["a"]:
                    pass
            written += 1
        assert site.stream.dropped == 1
        assert written > 3, "the others waited for it"
        await until(lambda: site.stream.clients == 50)
    frozen.close()


async def test_a_reader_that_was_behind_gets_the_latest_only(sites):
    site = await sites(padding=300_000)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", int(site.url.split(":")[2].split("/")[0])))
    slow.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: site.asked["books"] > 1)
    for _ in range(30):  # thirty changes while it doesn't read
        site.books["a"] += 1
        asked = site.asked["books"]
        await until(lambda asked=asked: site.asked["books"] > asked)
    slow.setblocking(False)
    loop, received = asyncio.get_running_loop(), b""
    async with asyncio.timeout(10):
        while b'"a",30,' not in received:
            received += await loop.sock_recv(slow, 1_000_000)
    assert received.count(b"event: books") <= 3
    slow.close()


async def test_a_new_reader_is_told_nothing_old(sites):
    site = await sites()
    async with aiohttp.ClientSession() as session:
        async with session.get(site.url) as response:
            await next_of(events(response), "books")
        await until(lambda: site.stream._task.done())
        site.books["a"] = 7
        async with session.get(site.url) as response:
            assert await next_of(events(response), "books") == [["a", 7, ""]]


async def test_all_readers_are_sent_away_when_the_worker_ends(sites):
    site = await sites()
    async with aiohttp.ClientSession() as session, session.get(site.url) as response:
        found = events(response)
        await next_of(found, "books")
        site.stream.end()
        async with asyncio.timeout(2):
            async for _ in found:
                pass
