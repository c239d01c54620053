"""A simulated exchange that sends its frames in bursts, as fast as they are taken: a process of its own.

`POST /fill/N` lets the market move until N frames wait for the one connection, `POST /release` sends them all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine

from aiohttp import web

from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator
from tradeflow.simulator.venue import QUEUE_LIMIT

LARGEST = QUEUE_LIMIT - 5_000
"""Frames of a burst: a connection for which more wait is cut."""


class Burster(Simulator):
    """Its market stands still between bursts; its heartbeats go on."""

    def background(self) -> list[Coroutine[None, None, None]]:
        return [self._beat()]

    def application(self) -> web.Application:
        application = super().application()
        application.add_routes([web.post("/fill/{frames}", self._fill), web.post("/release", self._release)])
        return application

    async def _fill(self, request: web.Request) -> web.Response:
        """Answers with the book updates among them; 409 while nobody is connected."""
        [venue] = self.venues.values()
        if len(venue.clients) != 1:
            raise web.HTTPConflict(text=f"{len(venue.clients)} connections")
        frames, updates = venue.counts["frames"], venue.counts["updates"]
        venue.pause()
        while venue.counts["frames"] - frames < int(request.match_info["frames"]):
            for _ in range(50):
                self.step()
            await asyncio.sleep(0)  # pings are answered meanwhile
        return web.json_response({"updates": venue.counts["updates"] - updates})

    async def _release(self, _: web.Request) -> web.Response:
        [venue] = self.venues.values()
        venue.resume()
        return web.json_response({})


async def serve(exchange: str) -> None:
    """Prints its endpoints, a line each, then goes on until it is ended."""
    async with Burster(Market(listed([exchange], []), rate=2_000)) as simulator:
        for name, url in simulator.endpoints.items():
            print(f"{name}={url}", flush=True)
        await simulator.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
