"""Kraken's WebSocket v2: instruments, checksums, digits; against a scripted server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from feed_server import FeedServer, Records, until

from tradeflow.feeds.kraken import checksum
from tradeflow.feeds.registry import make_source
from tradeflow.messages import Listing
from tradeflow.settings import Settings

PAIRS = [
    {"symbol": "BTC/USDT", "status": "online", "price_precision": 1, "qty_precision": 8, "qty_min": 0.0001},
    {"symbol": "SOL/USDT", "status": "online", "price_precision": 2, "qty_precision": 8, "qty_min": 0.01},
]
BIDS = [("45283.5", "0.10000000"), ("45283.4", "1.54582015")]
ASKS = [("45285.2", "0.00100000"), ("45286.4", "1.54571953")]


def book(kind: str, bids: Any, asks: Any, digest: int, *, symbol: str = "BTC/USDT", time: str = "") -> str:
    """A frame with the numbers exactly as written: no JSON writer could spell 0.10000000."""
    sides = [",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in (bids, asks)]
    stamp = f',"timestamp":"{time}"' if time else ""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{sides[0]}],'
        f'"asks":[{sides[1]}],"checksum":{digest}{stamp}}}]}}'
    )


async def answer(socket: web.WebSocketResponse, message: Any) -> None:
    """Subscriptions, as Kraken answers them; BTC/USDT's snapshot is in the exchange's full precision."""
    params = message["params"]
    if params["channel"] == "instrument":
        await socket.send_json({"channel": "status", "type": "update", "data": [{"system": "online"}]})
        await socket.send_json(
            {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": PAIRS}}
        )
    elif message["method"] == "unsubscribe":
        pass  # the tests say when
    elif params["channel"] == "book":
        await socket.send_json({"method": "subscribe", "success": True, "result": params})
        await socket.send_str(book("snapshot", BIDS, ASKS, checksum(BIDS, ASKS)))


@pytest.fixture
async def exchange():
    async with FeedServer({}, on_message=answer) as server:
        yield server


@pytest.fixture
async def feed(exchange):
    records = Records()
    source = make_source(
        "kraken", ["BTC-USDT", "DOGE-USDT"], Settings(kraken_ws_url=exchange.ws, kraken_depth=10)
    )
    records.resync = source.resync
    task = asyncio.create_task(source.run(records))
    await until(lambda: records.of("book") or task.done())
    yield records, task
    task.cancel()
    await asyncio.wait([task])


def test_checksum_is_the_documented_one():
    """The example of Kraken's documentation of the book checksum."""
    asks = [(f"0.0{5005 + 5 * n}", "0.00000500") for n in range(10)]
    bids = [(f"0.0{n}", "0.00000500") for n in range(5000, 4940, -5) if n != 4985][:10]
    assert checksum([(f"0.0{p[3:]}", q) for p, q in bids], asks) == 974947235


async def test_instruments_are_told_when_they_change(exchange, feed):
    records, _ = feed
    (first,) = records.of("instrument", "BTC-USDT")
    assert first["listing"] == Listing(kind="spot", base="BTC", quote="USDT")
    changed = '{"channel":"instrument","type":"update","data":{"pairs":[%s]}}'
    pair = '{"symbol":"BTC/USDT","price_precision":2,"qty_precision":8,"price_increment":0.050,"qty_increment":1e-8}'
    for _ in range(2):
        await exchange.send(changed % pair)
    await exchange.send(changed % pair.replace("0.050", "0.10"))
    await until(lambda: len(records.of("instrument")) == 3)
    assert [told["listing"].tick for told in records.of("instrument")] == [None, "0.050", "0.10"]
    assert records.of("instrument")[1]["listing"].lot == "0.00000001"


async def test_instruments_then_books_and_trades_are_subscribed(exchange, feed):
    records, _ = feed
    await until(lambda: len(exchange.received) == 3)
    instrument, *others = exchange.received
    assert instrument == {"method": "subscribe", "params": {"channel": "instrument"}}
    assert {"channel": "book", "symbol": ["BTC/USDT"], "snapshot": True, "depth": 10} in [
        other["params"] for other in others
    ]
    assert {"channel": "trade", "symbol": ["BTC/USDT"], "snapshot": True} in [o["params"] for o in others]
    assert records.of("unavailable", "DOGE-USDT") == [{"reason": "kraken doesn't list DOGE-USDT"}]


async def test_digits_checksum_and_depth_are_kept(exchange, feed):
    records, _ = feed
    (snapshot,) = records.of("book", "BTC-USDT")
    assert (snapshot["bids"], snapshot["asks"]) == (BIDS, ASKS)
    assert snapshot["checksum"] == checksum(BIDS, ASKS) and snapshot["depth"] == 10
    asks = [("45284.9", "0.00000001"), *ASKS]
    time = "2026-01-01T10:00:00.123456Z"
    await exchange.send(book("update", [], [("45284.9", "1e-8")], checksum(BIDS, asks), time=time))
    await until(lambda: len(records.of("book")) == 2)
    delta = records.of("book")[1]
    assert delta["asks"] == [("45284.9", "0.00000001")] and not delta["snapshot"]
    assert delta["exchange_time"] == time


async def test_numbers_that_lost_their_zeros_still_pass_the_checksum(exchange, feed):
    records, _ = feed
    bids = [("45283.5", "0.10000000"), ("45283.4", "2.00000000")]
    await exchange.send(book("update", [("45283.4", "2")], [], checksum(bids, ASKS)))
    await until(lambda: len(records.of("book")) == 2)
    assert records.of("book")[1]["bids"] == [("45283.4", "2.00000000")]


def unsubscribed(symbol: str = "BTC/USDT") -> dict[str, Any]:
    result = {"channel": "book", "depth": 10, "symbol": symbol}
    return {"method": "unsubscribe", "result": result, "success": True}


async def test_after_a_wrong_checksum_that_book_alone_is_subscribed_anew(exchange, feed):
    """Whatever of the old subscription is still on its way may not get onto the new snapshot."""
    records, task = feed
    await until(lambda: len(exchange.received) == 3)
    await exchange.send(book("update", [("45283.4", "0")], [], 12345))
    await until(lambda: len(exchange.received) == 4)
    assert exchange.received[3]["method"] == "unsubscribe"
    assert exchange.received[3]["params"]["symbol"] == ["BTC/USDT"]
    (gap,) = records.of("gap", "BTC-USDT")
    assert gap["reason"].endswith("where kraken says 12345")
    await exchange.send(book("update", [("45283.5", "7.00000000")], [], 1))
    await exchange.send(unsubscribed())
    await until(lambda: len(exchange.received) == 5)
    assert exchange.received[4]["method"] == "subscribe"
    assert exchange.received[4]["params"]["symbol"] == ["BTC/USDT"]
    await until(lambda: len(records.of("book")) == 2)
    assert records.of("book")[1]["snapshot"] and records.books["BTC-USDT"][0] == dict(BIDS)
    bids = [("45283.5", "0.10000000"), ("45283.4", "2.00000000")]
    await exchange.send(book("update", [("45283.4", "2")], [], checksum(bids, ASKS)))
    await until(lambda: len(records.of("book")) == 3)
    assert records.books["BTC-USDT"][0] == dict(bids)
    assert len(records.of("gap")) == 1 and not records.strays
    assert not task.done(), "the connection stands"


async def test_of_several_updates_one_is_verified_and_it_alone_carries_its_checksum(exchange):
    records = Records()
    settings = Settings(kraken_ws_url=exchange.ws, kraken_depth=10, kraken_checksum_every=3)
    task = asyncio.create_task(make_source("kraken", ["BTC-USDT"], settings).run(records))
    await until(lambda: records.of("book"))
    for size in range(1, 8):
        bids = [("45283.5", "0.10000000"), ("45283.4", f"{size}.00000000")]
        right = checksum(bids, ASKS)
        await exchange.send(book("update", [("45283.4", str(size))], [], right if size % 3 == 0 else 12345))
    await until(lambda: len(records.of("book")) == 8)
    carried = [fields["checksum"] is not None for fields in records.of("book")]
    assert carried == [True, False, False, True, False, False, True, False], "a snapshot's always"
    assert not records.of("gap")
    await exchange.send(book("update", [("45283.4", "8")], [], 12345))
    await exchange.send(book("update", [("45283.4", "9")], [], 12345))
    (gap,) = await until(lambda: records.of("gap"))
    assert gap["reason"].endswith("where kraken says 12345") and len(records.of("book")) == 9
    task.cancel()
    await asyncio.wait([task])


async def test_a_snapshot_with_a_wrong_checksum_is_not_published_but_asked_for_again(exchange, feed):
    records, _ = feed
    await until(lambda: len(exchange.received) == 3)
    await exchange.send(book("snapshot", BIDS[1:], ASKS, 12345))
    await until(lambda: len(exchange.received) == 4)
    assert exchange.received[3]["method"] == "unsubscribe" and len(records.of("book")) == 1


async def test_a_book_of_the_rotation_that_never_comes_has_a_gap(exchange, monkeypatch):
    monkeypatch.setattr("tradeflow.feeds.resubscriptions.PATIENCE", 0.3)
    records = Records()
    source = make_source("kraken", ["BTC-USDT"], Settings(kraken_ws_url=exchange.ws, kraken_depth=10))
    source.feed_class.refresh_seconds = 0.2
    task = asyncio.create_task(source.run(records))
    await until(lambda: records.of("book"))
    await asyncio.sleep(0.25)
    await exchange.send({"channel": "heartbeat"})
    await until(lambda: len(exchange.received) == 4)
    bids = [("45283.5", "0.10000000"), ("45283.4", "2.00000000")]
    await exchange.send(book("update", [("45283.4", "2")], [], checksum(bids, ASKS)))
    await until(lambda: len(records.of("book")) == 2)  # the old subscription is good to its end
    await exchange.send(unsubscribed())
    exchange.on_message = None
    await asyncio.sleep(0.35)
    assert not records.of("gap")
    await exchange.send({"channel": "heartbeat"})
    (gap,) = await until(lambda: records.of("gap"))
    assert gap["reason"] == "the book that was to be taken anew didn't come"
    task.cancel()
    await asyncio.wait([task])


async def test_levels_beyond_the_depth_are_forgotten(exchange, feed):
    """Ten new best bids push the two old ones out; Kraken says nothing of them and they don't come back."""
    records, _ = feed
    bids = [(f"{45284 - n / 10:.1f}", "1.00000000") for n in range(5)]
    bids += [(f"{45283.9 + 0.1 + n / 10:.1f}", "1.00000000") for n in range(1, 6)]
    ordered = sorted(bids, reverse=True)
    await exchange.send(book("update", bids, [], checksum(ordered, ASKS)))
    removed = ordered[2:]
    changes = [(price, "0.00000000") for price, _ in ordered[:2]]
    await exchange.send(book("update", changes, [], checksum(removed, ASKS)))
    await until(lambda: len(records.of("book")) == 3)
    assert records.books["BTC-USDT"][0] == dict(removed)


async def test_trades_keep_side_order_type_and_digits(exchange, feed):
    records, _ = feed
    await exchange.send(
        '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USDT","side":"sell","price":45283.0,'
        '"qty":0.10000000,"ord_type":"limit","trade_id":4665906,"timestamp":"2026-01-01T10:00:00.5Z"}]}'
    )
    (trade,) = await until(lambda: records.of("trade"))
    trade.pop("receipt_time")
    assert trade == {
        "side": "sell",
        "price": "45283.0",
        "size": "0.10000000",
        "trade_id": "4665906",
        "order_type": "limit",
        "exchange_time": "2026-01-01T10:00:00.5Z",
    }


async def test_heartbeats_are_signs_of_life(exchange, feed):
    records, _ = feed
    before = records.last_alive
    await exchange.send({"channel": "heartbeat"})
    await until(lambda: records.last_alive > before)


async def test_a_refused_subscription_is_the_reason(exchange, feed):
    _, task = feed
    await exchange.send(
        {
            "method": "subscribe",
            "success": False,
            "symbol": "BTC/USDT",
            "error": "Subscription depth not supported",
        }
    )
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 2)
    assert "kraken refused to subscribe BTC/USDT: Subscription depth not supported" in repr(caught.value)


async def test_no_listed_symbol_at_all_is_an_error(exchange):
    source = make_source("kraken", ["DOGE-USDT"], Settings(kraken_ws_url=exchange.ws))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(source.run(Records()), 2)
    assert "kraken lists none of DOGE/USDT: correct the partition map" in repr(caught.value)
