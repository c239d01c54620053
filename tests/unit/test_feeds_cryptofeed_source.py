"""What all cryptofeed sources share: proofs of life, endpoints, exact numbers, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from cryptofeed.exchanges import OKX, Binance
from feed_server import FeedServer, Records, Sent, until

from tradeflow.feeds import cryptofeed_source as module
from tradeflow.feeds.binance import TESTNET_WS
from tradeflow.feeds.digits import exact
from tradeflow.feeds.endpoints import adapt, is_loopback
from tradeflow.feeds.kraken import checksum
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.supervisor import Supervisor, describe
from tradeflow.messages import RawBook, RawDown, RawHeartbeat
from tradeflow.settings import Settings

PAIRS = [{"symbol": "BTC/USDT", "price_precision": 1, "qty_precision": 8}]
LEVEL = ("45283.5", "0.10000000")


async def kraken(socket: web.WebSocketResponse, message: Any) -> None:
    """Just enough of Kraken for a book: the simplest protocol, without REST."""
    if message["params"]["channel"] == "instrument":
        await socket.send_json({"channel": "instrument", "type": "snapshot", "data": {"pairs": PAIRS}})
    elif message["params"]["channel"] == "book":
        level = {"price": float(LEVEL[0]), "qty": float(LEVEL[1])}
        data = {"symbol": "BTC/USDT", "bids": [level], "asks": [], "checksum": checksum([LEVEL], [])}
        await socket.send_json({"channel": "book", "type": "snapshot", "data": [data]})


@pytest.fixture
async def exchange():
    async with FeedServer({}, on_message=kraken) as server:
        yield server


def source(exchange: FeedServer) -> Any:
    return make_source("kraken", ["BTC-USDT"], Settings(kraken_ws_url=exchange.ws))


class Trial:
    """A supervised Kraken feed."""

    def __init__(self, exchange: FeedServer, **options: float) -> None:
        self.sent = Sent()
        self.claims = 0
        self.source = source(exchange)
        publisher = Publisher("kraken", {"BTC-USDT": 0}, self.sent.send)
        self.supervisor = Supervisor(self.source, publisher, self.claim, **options)

    async def claim(self) -> int:
        self.claims += 1
        return self.claims

    async def __aenter__(self) -> Trial:
        self.task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()
        await self.task

    async def until_live(self, epoch: int) -> None:
        await until(lambda: [b for b in self.sent.of(RawBook) if b.epoch == epoch and b.snapshot])

    def reasons(self) -> list[str]:
        return [down.reason for down in self.sent.of(RawDown)]


async def test_a_cut_connection_is_down_at_once_and_live_again_soon(exchange):
    async with Trial(exchange) as trial:
        await trial.until_live(1)
        loop = asyncio.get_running_loop()
        cut = loop.time()
        exchange.cut()
        await until(trial.reasons)
        assert loop.time() - cut < 0.5
        await trial.until_live(2)
        assert loop.time() - cut < 5
    assert trial.reasons()[0].startswith("ConnectionClosedError")


async def test_a_closed_connection_is_told_as_such(exchange):
    async with Trial(exchange) as trial:
        await trial.until_live(1)
        await exchange.sockets[0].close()
        await trial.until_live(2)
    assert trial.reasons()[0] == "the exchange closed the connection"


async def test_an_exchange_that_refuses_is_tried_until_it_is_back(exchange):
    port = exchange.port
    async with Trial(exchange) as trial:
        await trial.until_live(1)
        await exchange.__aexit__()
        await until(lambda: len(trial.reasons()) >= 3)
        assert trial.supervisor.state in ("waiting", "connecting", "claiming")
        assert "Connect call failed" in trial.supervisor.last_error
        before = trial.claims
        async with FeedServer({}, on_message=kraken) as back:
            assert back.port != port
            trial.source.feed_class = source(back).feed_class
            await until(lambda: trial.supervisor.status()["state"] == "live")
            assert trial.claims > before
            await trial.supervisor.stop()
    assert len(trial.reasons()) == trial.claims, "each epoch ends with one down record"


async def test_a_server_error_is_told(exchange):
    async def unavailable(_: web.Request) -> web.Response:
        return web.Response(status=503)

    exchange._websocket = unavailable
    async with Trial(exchange) as trial:
        await until(trial.reasons)
    assert trial.reasons()[0] == "InvalidStatus: server rejected WebSocket connection: HTTP 503"


async def test_a_peer_that_no_longer_answers_is_half_open(monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(module, "PONG_TIMEOUT", 0.3)

    class Mute(FeedServer):
        async def _websocket(self, request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(autoping=False)
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket

    async with Mute({}) as exchange:
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(source(exchange).run(Records()), 3)
    assert describe(caught.value).startswith("FeedError: no answer to a ping for")


async def test_a_peer_that_answers_but_sends_nothing_has_lost_the_subscription(exchange, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL", 0.1)
    silent = source(exchange)
    silent.quiet_seconds = 0.5
    records = Records()
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(silent.run(records), 3)
    assert describe(caught.value) == "FeedError: no data for 1 s, though the connection answers"
    assert records.of("book")


async def test_answers_to_pings_are_no_signs_of_life(exchange, monkeypatch):
    monkeypatch.setattr(module, "PING_INTERVAL", 0.05)
    async with Trial(exchange, heartbeat_interval=0.1) as trial:
        trial.source.quiet_seconds = 1.0
        await until(trial.reasons)
    assert trial.reasons()[0].endswith("though the connection answers")
    (snapshot, *_), beats = trial.sent.of(RawBook), [b for b in trial.sent.of(RawHeartbeat) if b.epoch == 1]
    assert beats and {beat.receipt_time for beat in beats} == {snapshot.receipt_time}, (
        "that of the last frame"
    )


async def test_the_exchanges_own_heartbeats_are_signs_of_life(exchange):
    async with Trial(exchange, heartbeat_interval=0.05) as trial:
        await trial.until_live(1)
        (snapshot,) = trial.sent.of(RawBook)
        await exchange.send({"channel": "heartbeat"})
        await until(
            lambda: [b for b in trial.sent.of(RawHeartbeat) if b.receipt_time > snapshot.receipt_time]
        )


@pytest.mark.parametrize(
    ("exchange_name", "silence", "quiet"),
    [("kraken", 3, 5), ("binance", 3, 15), ("okx", 3, 15), ("binance", 60, 60)],
)
def test_a_connection_is_given_up_no_earlier_than_its_books_are_stale(exchange_name, silence, quiet):
    settings = Settings(silence_timeout=silence)
    assert make_source(exchange_name, ["BTC-USDT"], settings).quiet_seconds == quiet


async def test_a_connection_leaves_nothing_behind(exchange):
    """cryptofeed's connections register themselves for the end of the process, with all that they hold."""
    made: list[Any] = []
    live = source(exchange)
    make_feed = live._make_feed
    live._make_feed = lambda *given: made.append(weakref.ref(feed := make_feed(*given))) or feed
    for _ in range(3):
        records = Records()
        task = asyncio.create_task(live.run(records))
        await until(lambda records=records: records.of("book"))
        task.cancel()
        await asyncio.wait([task])
    del task, records
    await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in made] == [None, None, None]
    others = [t.get_coro() for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not [coro for coro in others if "tradeflow" in str(coro)]


async def test_loopback_needs_no_exception_from_proxies(exchange, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    records = Records()
    task = asyncio.create_task(source(exchange).run(records))
    await until(lambda: records.of("book"))
    task.cancel()
    await asyncio.wait([task])


def test_endpoints_are_replaced_and_the_rest_stays():
    adapted = adapt(OKX, "http://127.0.0.1:1/rest", "ws://127.0.0.1:1/socket")
    first, second = adapted.websocket_endpoints
    assert first.address == second.address == "wss://127.0.0.1:1/socket"
    assert first.authentication and first.options["proxy"] is None
    assert first.channel_filter == OKX.websocket_endpoints[0].channel_filter
    assert adapted.rest_endpoints[0].route("instruments")[0].startswith("http://127.0.0.1:1/rest/api/v5/")
    assert adapted.id == OKX.id and OKX.websocket_endpoints[0].address.startswith("wss://ws.okx.com")
    public = adapt(Binance, None, None)
    assert public.websocket_endpoints[0].address == "wss://stream.binance.com:9443"
    assert not public.websocket_endpoints[0].authentication
    assert "proxy" not in public.websocket_endpoints[0].options


def test_binance_testnet_and_explicit_endpoints():
    testnet = make_source("binance", ["BTC-USDT"], Settings(binance_testnet=True))
    assert testnet.feed_class.websocket_endpoints[0].address == TESTNET_WS
    explicit = make_source(
        "binance", ["BTC-USDT"], Settings(binance_testnet=True, binance_ws_url="wss://example.org")
    )
    assert explicit.feed_class.websocket_endpoints[0].address == "wss://example.org"


def test_other_exchanges_run_by_their_name():
    assert make_source("okx", ["BTC-USDT"], Settings()).feed_class.id == "OKX"
    kraken_v1 = make_source("kraken-v1", ["BTC-USDT"], Settings())
    assert (kraken_v1.feed_class.id, kraken_v1.depth) == ("KRAKEN", 1000)
    assert make_source("binance-us", ["BTC-USDT"], Settings()).feed_class.id == "BINANCE_US"
    with pytest.raises(ValueError, match=r"no feed for exchange 'mtgox'; there are: .*, bitstamp, .*, okx, "):
        make_source("mtgox", ["BTC-USDT"], Settings())


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("0.10000000"), "0.10000000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("12E+3"), "12000"),
        (Decimal("123456789012345678.123456789012345678"), "123456789012345678.123456789012345678"),
        (0, "0"),
        (250, "250"),
        ("1.50", "1.50"),
        ("1e-7", "0.0000001"),
    ],
)
def test_numbers_keep_their_digits(number, text):
    assert exact(number) == text


def test_floats_are_refused():
    with pytest.raises(TypeError, match=r"0\.1 is a float: prices and sizes must not pass through floats"):
        exact(0.1)  # type: ignore[arg-type]


def test_loopback_is_recognized():
    assert all(
        map(is_loopback, ("http://127.0.0.1:1", "ws://localhost:1/x", "wss://[::1]:2", "http://127.9.9.9"))
    )
    assert not any(map(is_loopback, ("https://api.binance.com", "wss://10.0.0.1", "")))
