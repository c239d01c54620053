"""The other workers of the group: who owns a partition, what they answer, and what all of them together do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from tradeflow.web.answers import PASSED_ON, Passed
from tradeflow.web.parameters import MAX_ROWS
from tradeflow.web.problems import NO_OWNER, OWNER_UNREACHABLE, REBALANCING, STOPPING, Problem
from tradeflow.wiring import app, web_url

FORWARDED = "X-Tradeflow-Forwarded"
TIMEOUT = aiohttp.ClientTimeout(total=5)

router: Any = app.router


def recovered() -> bool:
    """The tables hold all that the changelogs do."""
    tables: Any = app.tables
    return bool(tables.recovery.completed.is_set())


def forwarded(request: web.Request) -> bool:
    """Whether another worker asks."""
    return FORWARDED in request.headers


def owner(partition: int) -> URL:
    """Of a partition of market-events; Problem 503 while there is none."""
    if app.rebalancing:
        detail = "the workers are sharing the partitions out anew; ask again in a second"
        raise Problem(REBALANCING, detail, partition=partition)
    try:
        found: URL = router.owner("order_books", partition)
        return found
    except KeyError:
        detail = f"no worker owns partition {partition} yet; ask again in a second"
        raise Problem(NO_OWNER, detail, partition=partition) from None


async def ask(url: URL, known: str = "") -> Passed:
    """What another worker answers; `known`: the tags of what the one who asks has already."""
    if app.http_client.closed:
        raise Problem(STOPPING, "this worker is ending; ask another one")
    headers = {FORWARDED: "1"} | ({"If-None-Match": known} if known else {})
    try:
        async with app.http_client.get(url, headers=headers, timeout=TIMEOUT) as response:
            kept = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
            return Passed(await response.read(), response.content_type, response.status, kept)
    except (aiohttp.ClientError, TimeoutError) as error:
        detail = f"{url.origin()} does not answer: {error!r}; ask again in a second, or look at that worker"
        raise Problem(OWNER_UNREACHABLE, detail, worker=str(url.origin())) from None


async def of_all_workers[Row](
    key: str, own: Iterable[Row], row: type[Row], *, forwarded: bool
) -> tuple[list[Row], list[str]]:
    """What this and all other workers of the group answer under `key` of `/key`, and which of them don't;
    `forwarded`: one of them asks, for this worker's own."""
    found, silent = list(own), []
    if not forwarded:
        peers = [url for url in router.workers() if url != web_url]
        answers = await asyncio.gather(
            *(ask(url / key % {"limit": MAX_ROWS}) for url in peers), return_exceptions=True
        )
        for url, said in zip(peers, answers, strict=True):
            rows = _rows(said, key, row)
            if rows is None:
                silent.append(str(url))
            else:
                found += rows
    return found, silent


def _rows[Row](said: Passed | BaseException, key: str, row: type[Row]) -> list[Row] | None:
    """None: it doesn't answer, or not with such rows."""
    if not isinstance(said, Passed) or said.status != 200:
        return None
    try:
        return msgspec.convert(msgspec.json.decode(said.body)[key], list[row])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, KeyError):
        return None
