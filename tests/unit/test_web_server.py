"""The web server on a socket: what it tells of itself, how much it takes, how long it waits."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import faust
import pytest
from faust.web import View

from tradeflow.ports import free_port
from tradeflow.web import server as module
from tradeflow.web.access import read_body
from tradeflow.web.server import MAX_BODY, READ_TIMEOUT, Server


class Large(View):
    async def get(self, request):
        return self.bytes(bytes(30_000_000), content_type="application/octet-stream")


class Count(View):
    async def post(self, request):
        return self.text(str(len(await read_body(request, timeout=0.1))))

    def get_methods(self):
        return {"POST"}


class Faulty(View):
    async def get(self, request):
        raise RuntimeError("a secret of the program")


class Greedy(View):
    async def post(self, request):
        return self.text(await request.text())


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(module, "IDLE_TIMEOUT", 0.3)
    options = {"client_max_size": MAX_BODY}
    app = faust.App("web", web_bind="127.0.0.1", web_port=free_port(), web_application_options=options)
    server = Server(app)
    server.route("/large", Large(app, server))
    server.route("/count", Count(app, server))
    server.route("/faulty", Faulty(app, server))
    server.route("/greedy", Greedy(app, server))
    await server.start_server()
    yield server
    await server.stop_server()


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.app.conf.web_port}{path}"


async def test_headers_of_every_answer(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        for path, status in (("/large", 200), ("/nothing", 404)):
            async with session.get(url(server, path)) as response:
                assert response.status == status
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["Server"] == "tradeflow"


async def told(
    server: Server, method: str, path: str, **options: Any
) -> tuple[dict[str, Any], Mapping[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url(server, path), **options) as answer,
    ):
        assert answer.content_type == "application/problem+json"
        body = json.loads(await answer.read())
        assert body["status"] == answer.status
        assert answer.headers["Cache-Control"] == "no-store"
        return body, answer.headers


async def test_every_error_is_told_in_one_form(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    body, _ = await told(server, "GET", "/nothing")
    assert body["type"] == "/problems/unknown-path"
    assert body["detail"] == "there is no /nothing; /openapi.json lists what there is"
    body, headers = await told(server, "DELETE", "/count")
    assert (body["type"], body["allowed"], headers["Allow"]) == ("/problems/wrong-method", ["POST"], "POST")
    assert body["detail"] == "/count takes POST only, not DELETE"
    body, _ = await told(server, "POST", "/count", data=bytes(MAX_BODY + 1))
    assert (body["type"], body["bytes"]) == ("/problems/body-too-large", MAX_BODY)
    body, _ = await told(server, "POST", "/greedy", data=bytes(MAX_BODY + 1))
    assert (body["type"], body["title"]) == ("about:blank", "Request Entity Too Large")
    assert not caplog.records


async def test_a_mistake_of_ours_is_logged_and_not_shown(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    body, _ = await told(server, "GET", "/faulty")
    assert (body["type"], body["status"]) == ("/problems/failed", 500)
    assert "secret" not in str(body) and "Traceback" not in str(body)
    (record,) = caplog.records
    assert record.getMessage() == "GET /faulty failed"
    assert "a secret of the program" in str(record.exc_info)


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nX: " + b"a" * 9000]
)
async def test_an_answer_to_what_is_no_http_tells_no_version(
    server: Server, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.app.conf.web_port)
    writer.write(sent + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.0 400") or answer.startswith(b"HTTP/1.1 400")
    assert b"Server: tradeflow\r\n" in answer
    assert b"Python" not in answer
    assert b"aiohttp" not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == 400
    (record,) = [record for record in caplog.records if record.name == module.__name__]
    assert record.getMessage().startswith("127.0.0.1 sent what is no request: ")
    assert record.exc_info is None


@pytest.mark.parametrize("begun", [b"", b"GET /large HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_does_not_come_is_not_waited_for(server: Server, begun: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.app.conf.web_port)
    writer.write(begun)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_body_is_small_and_comes_at_once(server: Server) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(MAX_BODY)

    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(3600)

    async def status(data: bytes | AsyncIterator[bytes]) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url(server, "/count"), data=data) as answer,
        ):
            return answer.status

    assert await status(bytes(MAX_BODY)) == 200
    assert await status(bytes(MAX_BODY + 1)) == 413
    assert await status(chunks(1)) == 200
    assert await status(chunks(2)) == 413
    assert await status(endless()) == 408


async def test_who_does_not_read_is_cut_off(server: Server) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", server.app.conf.web_port))
    await loop.sock_sendall(client, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")

    def waiting() -> list[asyncio.Transport]:
        connections = server._runner.server.connections
        return [c.transport for c in connections if c.transport and c.transport.get_write_buffer_size()]

    async with asyncio.timeout(5):
        while not (transports := waiting()):
            await asyncio.sleep(0.01)
    (slow,) = transports
    server.check_clients(transports, 100.0)
    size = slow.get_write_buffer_size()
    async with asyncio.timeout(5):  # it reads a little, and has another READ_TIMEOUT
        while slow.get_write_buffer_size() == size:
            await loop.sock_recv(client, 100_000)
    server.check_clients(transports, 100.0 + READ_TIMEOUT)
    server.check_clients(transports, 100.0 + 1.9 * READ_TIMEOUT)
    assert not slow.is_closing()
    server.check_clients(transports, 100.0 + 2 * READ_TIMEOUT)
    assert slow.is_closing()
    client.close()
    async with asyncio.timeout(5):
        while server._runner.server.connections:
            await asyncio.sleep(0.01)
