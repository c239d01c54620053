"""Malformed frames, the short form of `make fuzz`; and what only a real WebSocket can deliver."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from cryptofeed.symbols import Symbols
from feed_server import FeedServer, Records, Sent, until

from tests.fuzz.fuzzer import Fuzzer, Violation
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.runs import SYMBOLS, exchanges
from tradeflow.feeds.cryptofeed_source import CryptofeedSource
from tradeflow.feeds.digits import exact
from tradeflow.feeds.instruments import Instruments
from tradeflow.feeds.publisher import Publisher
from tradeflow.feeds.registry import make_source
from tradeflow.feeds.source import FeedError
from tradeflow.messages import RawBook, RawHeartbeat
from tradeflow.normalize import NormalizeError, normalize
from tradeflow.settings import Settings

CHEAP = [name for name in MUTATIONS if name != "5 MB"]


@pytest.mark.parametrize("name", SYMBOLS)
async def test_no_malformed_frame_reaches_a_book(name):
    """Each mutation four times, one of five megabytes; of simulated frames and, where there are any, of real ones."""
    for kind, exchange in exchanges(name, 7):
        fuzzer = Fuzzer(exchange, 7)
        mutations = [*CHEAP * 4, "5 MB"] if kind == "simulated" else CHEAP
        await fuzzer.run(mutations)
        effects = Counter[str]()
        for (_, effect), count in fuzzer.counts.items():
            effects[effect] += count
        assert effects.total() == len(mutations)
        assert effects["ended"] > len(mutations) // 4, effects


async def test_the_fuzzer_sees_a_feed_that_takes_what_it_should_not(monkeypatch):
    """A parser that forgets to look at a side would be found at once."""
    from tradeflow.feeds import coinbase

    class Anything(coinbase.BookEvent):
        type: str  # type: ignore[assignment]

    monkeypatch.setattr(coinbase, "_books", coinbase.msgspec.json.Decoder(list[Anything]))
    ((_, exchange), *_) = exchanges("coinbase", 7)
    with pytest.raises(Violation, match="coinbase: "):
        await Fuzzer(exchange, 7).run(["other text", "wrong type", "values swapped"] * 200)


@pytest.mark.parametrize("frame", [b"\xff\xfe", b'{"channel":"\xc0\xaf"}'])
async def test_invalid_utf8_ends_the_connection_with_a_reason(frame):
    async def on_message(socket: Any, message: Any) -> None:
        # aiohttp has no way to send a text frame that isn't text; its writer has.
        await socket._writer.send_frame(frame, 0x1)

    async with FeedServer({}, on_message=on_message) as server:
        source = make_source("kraken", ["BTC-USDT"], Settings(kraken_ws_url=server.ws))
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(source.run(Records()), 5)
        assert "1007" in repr(caught.value.exceptions)


async def test_a_frame_nested_too_deeply_does_not_end_the_process():
    """cryptofeed's JSON parser would overflow the stack: a segmentation fault of the whole worker."""

    async def on_open(socket: Any) -> None:
        await socket.send_str('{"table":"orderBookL2","data":' + "[" * 1_000_000)

    async with FeedServer({"/api/v1/instrument/active": []}, on_open=on_open) as server:
        settings = Settings(bitmex_rest_url=server.http, bitmex_ws_url=server.ws)
        source = make_source("bitmex", ["BTC-USD-PERP"], settings)
        assert isinstance(source, CryptofeedSource)
        known = Instruments({"BTC-USD-PERP": "XBTUSD"}, {}, {}, 0, 0.0)
        Symbols.set(source.feed_class.id, known.symbols, known.info)
        source._load_instruments = lambda: until(lambda: known)  # type: ignore[method-assign]
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(source.run(Records()), 5)
        assert "unusable frame (RecursionError(" in repr(caught.value.exceptions)


async def test_instruments_nested_too_deeply_are_refused():
    async def nested(_: web.Request) -> web.Response:
        return web.Response(text="[" * 1_000_000, content_type="application/json")

    async with FeedServer({"/api/v3/exchangeInfo": nested}) as server:
        source = make_source("binance", ["BTC-USDT"], Settings(binance_rest_url=server.http))
        with pytest.raises(FeedError, match=r"can't read the instruments .*recursion"):
            await source.run(Records())


LEVEL = ("100", "1")


@pytest.mark.parametrize(
    "bad",
    [
        {"bids": [LEVEL, ("NaN", "1")]},
        {"asks": [("101", "-1")]},
        {"bids": [("0.00", "1")]},
        {"asks": [("1" * 65, "1")]},
        {"bids": [("1_0", "1")]},
        {"bids": [("1 2", "3")]},
        {"asks": [LEVEL, ("101", "")]},
        {"exchange_time": "yesterday"},
        {"exchange_time": -1.0},
        {"checksum": "9" * 5_000},
    ],
)
def test_a_record_that_would_be_a_dead_letter_is_a_gap_at_once(bad):
    sent = Sent()
    publisher = Publisher("binance", {"BTC-USDT": 0}, sent.send)
    publisher.begin(1)
    fields = {"bids": [LEVEL], "asks": [("101", "1")], "exchange_time": None, "receipt_time": 1}
    publisher.book("BTC-USDT", snapshot=True, **fields)
    publisher.book("BTC-USDT", snapshot=False, **fields | bad)
    assert [record.sequence for record in sent.of(RawBook)] == [0]
    assert [record.sequence for record in sent.of(RawHeartbeat)] == [1], "readers see the hole now"
    assert publisher.gaps["BTC-USDT"].reason.startswith("unusable record: ")
    assert len(publisher.gaps["BTC-USDT"].reason) < 500
    with pytest.raises(NormalizeError):
        normalize(
            RawBook(
                **{"exchange": "binance", "symbol": "BTC-USDT", "epoch": 1, "sequence": 1, "snapshot": False},
                **fields | bad,
            )
        )


def test_a_number_that_nobody_means_is_not_written_out():
    with pytest.raises(ValueError, match="1E\\+999999999 has more than 64 digits"):
        exact("1e999999999")
    assert exact("123456789012345678901234567890.5") == "123456789012345678901234567890.5"
