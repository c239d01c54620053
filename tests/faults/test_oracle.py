"""The oracle itself: it must tell a wrong book, an old one, and what it can't judge from a right one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.faults.lab.oracle import Oracle
from tests.faults.lab.samples import Sample, time_to_flag, time_to_live
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator

PLACES = [("binance", "BTC-USDT"), ("kraken", "BTC-USD"), ("bitmex", "BTC-USD-PERP")]
OLD_AFTER = 0.5

Change = Callable[[dict[str, Any]], None]


def served(simulator: Simulator, exchange: str, symbol: str, **at: int) -> dict[str, Any]:
    """The true book, as a worker serves it."""
    true = simulator.truth(exchange, symbol, **at)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "state": "live",
        "reason": "",
        "epoch": 1,
        "since": 1,
        "sequence": 1,
        "exchange_sequence": true["sequence"] if exchange == "binance" else None,
        "exchange_time": true["time"],
        "receipt_time": true["time"],
        "event_time": true["time"],
        "bids": true["bids"],
        "asks": true["asks"],
    }


@contextlib.asynccontextmanager
async def worker(simulator: Simulator, change: Change, at: dict[str, int]) -> AsyncIterator[str]:
    async def book(request: web.Request) -> web.Response:
        answer = served(simulator, request.match_info["exchange"], request.match_info["symbol"], **at)
        change(answer)
        return web.json_response(answer)

    application = web.Application()
    application.add_routes([web.get("/books/{exchange}/{symbol}", book)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def verdicts(
    change: Change, *, wait: float = 0.0, frozen: bool = False, exact: bool = True, every: bool = False
) -> Oracle:
    """What an oracle says of a worker that serves the simulator's books after this change; `every`: it has compared
    one of each exchange."""
    async with Simulator(Market(rate=400, depth=30)) as simulator:
        await asyncio.sleep(0.2)
        at: dict[str, int] = {"time": simulator.market.books[PLACES[0]].time} if frozen else {}
        async with worker(simulator, change, at) as url:
            await asyncio.sleep(wait)
            oracle = Oracle(simulator.url, PLACES, {"w": url}, old_after=OLD_AFTER, pause=0.05)
            with oracle:
                while oracle.counts.total() < 30 or (every and len(oracle.by_exchange) < len(PLACES)):
                    await asyncio.sleep(0.05)
                # The oracle's thread needs this loop's simulator to finish.
                await asyncio.to_thread(oracle.__exit__)
    return oracle


def nothing(book: dict[str, Any]) -> None:
    """As it is."""


def another_size(book: dict[str, Any]) -> None:
    book["bids"][7][1] += "1"


def a_level_too_many(book: dict[str, Any]) -> None:
    book["asks"].append(["999999999", "1"])


def a_level_too_few(book: dict[str, Any]) -> None:
    del book["asks"][-1]


def swapped(book: dict[str, Any]) -> None:
    book["bids"][0], book["bids"][1] = book["bids"][1], book["bids"][0]


async def test_right_books_are_right() -> None:
    oracle = await verdicts(nothing, every=True)
    assert oracle.counts["right"] == oracle.comparisons >= 30
    assert set(oracle.by_exchange) == {"binance", "kraken", "bitmex"}


@pytest.mark.parametrize("change", [another_size, a_level_too_many, a_level_too_few, swapped])
async def test_one_level_changed_on_purpose_is_a_wrong_book(change: Change) -> None:
    oracle = await verdicts(change)
    assert oracle.counts["wrong"] == oracle.comparisons >= 30
    assert oracle.bad == oracle.comparisons
    assert "served [" in oracle.first["wrong"]


async def test_a_book_that_was_true_once_is_old() -> None:
    oracle = await verdicts(nothing, frozen=True, wait=OLD_AFTER + 1)
    assert oracle.counts["old"] == oracle.bad == oracle.comparisons >= 30
    assert "behind by" in oracle.first["old"]


async def test_what_the_history_does_not_hold_is_never_right() -> None:
    def unknown(book: dict[str, Any]) -> None:
        book["exchange_sequence"], book["exchange_time"] = 1, 1

    oracle = await verdicts(unknown)
    assert oracle.counts["forgotten"] >= 30
    assert oracle.comparisons == 0


async def test_what_says_that_it_is_not_live_is_not_compared() -> None:
    def stale(book: dict[str, Any]) -> None:
        book["state"] = "stale"
        another_size(book)

    oracle = await verdicts(stale)
    assert oracle.counts["flagged"] >= 30
    assert oracle.comparisons == oracle.bad == 0


PLACE = PLACES[0]


def sample(
    at: float, state: str = "live", *, worker: str = "a", since: int = 1, received: float = 0
) -> Sample:
    return Sample(at, at + 0.1, worker, PLACE, state, "", 1, since, int(received * 1e9))


def test_time_to_flag_is_that_of_the_last_worker() -> None:
    before = {PLACE: sample(0)}
    told = [sample(10), sample(10.2, "stale"), sample(10.1, worker="b")]
    assert time_to_flag(told, before, 10.0) is None
    told.append(sample(11, "stale", worker="b"))
    assert time_to_flag(told, before, 10.0) == pytest.approx(1.1)


def test_a_mark_between_two_samples_shows_by_its_since() -> None:
    assert time_to_flag([sample(10.4, since=2)], {PLACE: sample(0)}, 10.0) == pytest.approx(0.5)


def test_no_answer_is_no_claim_to_be_live() -> None:
    assert time_to_flag([sample(10, "unserved")], {PLACE: sample(0)}, 10.0) == 0


def test_live_again_takes_a_record_received_afterwards() -> None:
    told = [sample(10, received=9), sample(11, "stale", received=9)]
    assert time_to_live(told, [PLACE], 10, 10) is None
    told.append(sample(12, received=11.5))
    assert time_to_live(told, [PLACE], 10, 10) == pytest.approx(2.1)
    told.append(sample(13, "stale", received=11.5))
    assert time_to_live(told, [PLACE], 10, 10) is None
