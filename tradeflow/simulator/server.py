"""All simulated exchanges behind one port, what paces them, and the truth over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from tradeflow.simulator.binance import Binance
from tradeflow.simulator.bitmex import Bitmex
from tradeflow.simulator.coinbase import Coinbase
from tradeflow.simulator.faults import FRAME_FAULTS, REST_FAULTS
from tradeflow.simulator.host import Host
from tradeflow.simulator.kraken import Kraken
from tradeflow.simulator.market import Market
from tradeflow.simulator.truth import UnknownVersion
from tradeflow.simulator.venue import Venue

VENUES: tuple[type[Venue], ...] = (Binance, Bitmex, Coinbase, Kraken)

FAULTS = ("drop", "refuse", "accept", "pause", "resume", "hang_up")
SYMBOL_FAULTS = (*FRAME_FAULTS, "mute", "unmute", "refine")


class Simulator(Host):
    """The exchanges of a market, served on 127.0.0.1 while the context lasts.

        async with Simulator(Market(rate=200)) as simulator:
            simulator.endpoints                  # {"TRADEFLOW_BINANCE_REST_URL": "http://127.0.0.1:…", …}
            simulator.truth("binance", "BTC-USDT", sequence=…)
            simulator.venues["binance"].drop()   # and refuse, accept, pause, resume, skip(symbol), …

    Raises OSError if the port is taken."""

    def __init__(self, market: Market | None = None, *, port: int = 0) -> None:
        super().__init__(port)
        self.market = market or Market()
        exchanges = {book.instrument.exchange for book in self.market.books.values()}
        self.venues: dict[str, Venue] = {
            kind.name: kind(self.market) for kind in VENUES if kind.name in exchanges
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoints(self) -> dict[str, str]:
        """Environment names and the URLs that point tradeflow here; the simulator's own is the last."""
        ws = f"ws://127.0.0.1:{self.port}"
        exchanges = [venue.endpoints(self.url, ws) for venue in self.venues.values()]
        return {
            **{name: url for endpoints in exchanges for name, url in endpoints.items()},
            "TRADEFLOW_SIMULATOR_URL": self.url,
        }

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/truth", self._get_books),
                web.get("/truth/{exchange}/{symbol}", self._get_truth),
                web.get("/stats", self._get_stats),
                web.post("/control/{exchange}/{fault}", self._post_control),
                web.post("/control/{exchange}/{fault}/{symbol}", self._post_control),
            ]
        )
        for venue in self.venues.values():
            application.add_routes(venue.routes())
        return application

    def background(self) -> list[Coroutine[None, None, None]]:
        return [self._pace(), self._beat()]

    def closing(self) -> None:
        for venue in self.venues.values():
            venue.drop()

    # --- the market's pace --------------------------------------------------------------------------------

    async def _pace(self) -> None:
        """Make the steps that are due; after a freeze go on from there, without catching up."""
        loop = asyncio.get_running_loop()
        rate = self.market.rate
        due, last = 0.0, loop.time()
        while True:
            await asyncio.sleep(0.005)
            now = loop.time()
            due = min(due + (now - last) * rate, max(1.0, rate / 4))
            last = now
            for _ in range(int(due)):
                self.step()
            due -= int(due)

    def step(self) -> None:
        """One step of the market, sent to whoever subscribed."""
        for update in self.market.step(time.time_ns()):
            self.venues[update.book.instrument.exchange].publish(update)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for venue in self.venues.values():
                venue.beat(time.time_ns())

    # --- the truth ----------------------------------------------------------------------------------------

    def truth(
        self,
        exchange: str,
        symbol: str,
        *,
        sequence: int | None = None,
        time: int | None = None,
        depth: int | None = None,
    ) -> dict[str, Any]:
        """The true book as of a sequence or a time (ns), by default now: the last version that is not later.

        {"exchange", "symbol", "sequence", "time", "bids": [[price, size], …], "asks": …}, best first,
        canonical decimal strings, at full depth or the best `depth` levels.  Sequences are Binance's update
        ids; other exchanges have none on the wire and are asked by time, which is rounded to what the
        exchange writes (microseconds; milliseconds at Binance and BitMEX).

        Raises KeyError for an unknown book, UnknownVersion for one that the history doesn't hold."""
        book = self.market.books[exchange, symbol]
        if time is not None:
            time = (time + book.resolution // 2) // book.resolution * book.resolution
        version = book.history.at(sequence=sequence, time=time)
        i = book.instrument
        bids, asks = (
            [[i.price_text(price), i.size_text(lots)] for price, lots in side[:depth]]
            for side in (version.bids, version.asks)
        )
        return {
            "exchange": exchange,
            "symbol": symbol,
            "sequence": version.sequence,
            "time": version.time,
            "bids": bids,
            "asks": asks,
        }

    def stats(self) -> dict[str, Any]:
        """Steps of the market, and updates, trades, frames and connections of each exchange so far."""
        return {
            "steps": self.market.steps,
            "exchanges": {
                name: {
                    "updates": venue.counts["updates"],
                    "trades": venue.counts["trades"],
                    "frames": venue.counts["frames"],
                    "connections": len(venue.clients),
                }
                for name, venue in self.venues.items()
            },
        }

    # --- over HTTP ----------------------------------------------------------------------------------------

    async def _get_books(self, request: web.Request) -> web.Response:
        books = []
        for (exchange, symbol), book in self.market.books.items():
            first_sequence, first_time = book.history.first
            books.append(
                {
                    "exchange": exchange,
                    "symbol": symbol,
                    "sequence": [first_sequence, book.sequence],
                    "time": [first_time, book.time],
                }
            )
        return web.json_response(books)

    async def _get_truth(self, request: web.Request) -> web.Response:
        exchange, symbol = request.match_info["exchange"], request.match_info["symbol"].upper()
        try:
            query = {
                key: int(request.query[key]) for key in ("sequence", "time", "depth") if key in request.query
            }
        except ValueError as error:
            return _error(400, f"sequence, time and depth are integers: {error}")
        try:
            return web.json_response(self.truth(exchange, symbol, **query))
        except UnknownVersion as error:
            return _error(404, str(error))
        except KeyError:
            known = ", ".join(f"{e}/{s}" for e, s in self.market.books)
            return _error(404, f"no book {exchange}/{symbol}; there are {known}")

    async def _get_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _post_control(self, request: web.Request) -> web.Response:
        exchange, fault = request.match_info["exchange"], request.match_info["fault"]
        symbol = request.match_info.get("symbol", "").upper()
        if exchange not in self.venues:
            return _error(404, f"no exchange {exchange}; there are {', '.join(self.venues)}")
        venue = self.venues[exchange]
        if fault in SYMBOL_FAULTS and symbol:
            try:
                if fault in FRAME_FAULTS:
                    venue.spoil(fault, symbol)
                else:
                    getattr(venue, fault)(symbol)
            except KeyError:
                return _error(404, f"{exchange} lists no {symbol}")
            except ValueError as error:
                return _error(409, str(error))
        elif fault == "rest" and symbol.lower() in REST_FAULTS:
            venue.fail_rest(symbol.lower())
        elif fault in FAULTS and not symbol:
            getattr(venue, fault)()
        else:
            rest = [f"rest/{name}" for name in REST_FAULTS]
            known = ", ".join([*FAULTS, *(f"{name}/SYMBOL" for name in SYMBOL_FAULTS), *rest])
            return _error(404, f"/control/{exchange}/ knows {known}, not {fault}")
        return web.json_response({"exchange": exchange, "fault": fault})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
