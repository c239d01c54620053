"""Frames and answers that go wrong on demand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import pytest

from tradeflow.simulator.faults import Mishaps, crossed
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator

STREAM = "/binance/stream?streams=btcusdt@depth"
DEPTH = "/binance/api/v3/depth?symbol=BTCUSDT&limit=10"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Market(rate=2_000, depth=20)) as simulator:
        yield simulator


async def spans(simulator: Simulator, fault: str, count: int) -> list[tuple[int, int]]:
    """(U, u) of the frames of a connection, the next of which has this fault."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{simulator.url}{STREAM}") as socket:
        first = json.loads((await socket.receive()).data)["data"]
        await control(session, simulator, f"{fault}/BTC-USDT")
        frames = [first, *[json.loads((await socket.receive()).data)["data"] for _ in range(count)]]
    return [(frame["U"], frame["u"]) for frame in frames]


async def control(session: aiohttp.ClientSession, simulator: Simulator, fault: str) -> None:
    async with session.post(f"{simulator.url}/control/binance/{fault}") as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("fault", ["skip", "repeat", "reorder"])
async def test_frames_are_skipped_repeated_and_reordered_once(simulator: Simulator, fault: str) -> None:
    seen = await spans(simulator, fault, 30)
    breaks = [(one, other) for one, other in pairwise(seen) if other[0] != one[1] + 1]
    if fault == "repeat":
        assert breaks == [(breaks[0][0], breaks[0][0])]
    elif fault == "reorder":
        assert len(breaks) == 3  # on to the one that came too early, back to the late one, and on again
        assert sorted(seen) != seen
        assert all(other[0] == one[1] + 1 for one, other in pairwise(sorted(seen)))
    else:
        assert len(breaks) == 1


async def test_a_connection_is_cut_after_its_first_frame_until_the_exchange_accepts(
    simulator: Simulator,
) -> None:
    async with aiohttp.ClientSession() as session:
        await control(session, simulator, "hang_up")
        async with session.ws_connect(f"{simulator.url}{STREAM}") as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
            while (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                pass
        await control(session, simulator, "accept")
        async with session.ws_connect(f"{simulator.url}{STREAM}") as socket:
            assert [(await socket.receive()).type for _ in range(200)] == [aiohttp.WSMsgType.TEXT] * 200


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("truncated", 200)])
async def test_rest_fails_as_told_until_the_exchange_accepts(
    simulator: Simulator, fault: str, status: int
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{simulator.url}{DEPTH}") as response:
            assert response.status == 200
            whole = len(await response.read())
        await control(session, simulator, f"rest/{fault}")
        async with session.get(f"{simulator.url}{DEPTH}") as response:
            assert response.status == status
            assert len(await response.read()) < 0.6 * whole
        await control(session, simulator, "accept")
        async with session.get(f"{simulator.url}{DEPTH}") as response:
            assert (await response.json())["bids"]


def test_a_checksum_and_a_cut_frame_are_wrong() -> None:
    frame = b'{"channel":"book","data":[{"checksum":123456,"timestamp":"x"}]}'
    (wrong,) = Mishaps().meet(frame, "checksum")
    assert json.loads(wrong)["data"][0]["checksum"] != 123456
    (cut,) = Mishaps().meet(frame, "cut")
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)


def test_a_crossed_update_says_what_is_not_in_the_book() -> None:
    market = Market(seed=3, depth=20)
    for step in range(500):
        for update in market.step(step):
            wrong = crossed(update)
            assert wrong._replace(bids=update.bids) == update
            (bid,) = wrong.bids[len(update.bids) :]
            asks, bids = update.book.asks, update.book.bids
            assert bid.price >= asks.best > bids.best, "the book itself is as it was"
            assert bid.price not in bids.lots and bid.before == 0 < bid.after
