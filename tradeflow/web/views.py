"""The JSON views.  A book comes from the worker that owns its symbol; lists come from this worker's tail."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable
from typing import Any

import aiohttp
import msgspec
from faust.web import Request
from yarl import URL

from tables.order_books import OrderBook
from tradeflow import topics
from tradeflow.market import Market
from tradeflow.messages import TopOfBook
from tradeflow.stats import stats
from tradeflow.symbols import SymbolError, canonical_symbol
from tradeflow.web import freshness, past
from tradeflow.web.answers import Passed, Problem, integer
from tradeflow.web.pages import page
from tradeflow.wiring import (
    app,
    books,
    config,
    feed_outbox,
    feed_service,
    maps,
    markets,
    outbox,
    owned_partitions,
    tail,
    web_url,
)

MAX_DEPTH = 100_000
FORWARDED = "X-Tradeflow-Forwarded"
PEER_TIMEOUT = aiohttp.ClientTimeout(total=5)


def known_symbol(text: str) -> str:
    try:
        symbol = canonical_symbol(text)
    except SymbolError as error:
        raise Problem(404, "unknown symbol", str(error), known=sorted({s for _, s in books})) from None
    if symbol not in {s for _, s in books}:
        raise Problem(404, "unknown symbol", f"{symbol} is not served", known=sorted({s for _, s in books}))
    return symbol


def known_book(exchange: str, text: str) -> str:
    """The canonical symbol of a served book; Problem 404 for any other."""
    symbol = known_symbol(text)
    if (exchange, symbol) not in books:
        known = [f"{e}/{s}" for e, s in books]
        raise Problem(404, "unknown book", f"{exchange} has no {symbol} here", known=known)
    return symbol


router: Any = app.router


def recovered() -> bool:
    """The tables hold all that the changelogs do."""
    tables: Any = app.tables
    return bool(tables.recovery.completed.is_set())


def forwarded(request: Request) -> bool:
    """Whether another worker asks."""
    return FORWARDED in request.headers


# -- books


@page("/books/{exchange}/{symbol}")
async def book(request: Request, exchange: str, symbol: str) -> Any:
    """One book with its levels and provenance: `?depth=` levels a side; `?at=`, or `?epoch=&sequence=`: as it was."""
    symbol = known_book(exchange, symbol)
    depth = integer(request, "depth", config.order_book_depth, MAX_DEPTH)
    if target := past.target(request.query, exchange, symbol):
        moment = await past.moment(maps.symbols[symbol], (exchange, symbol), target)
        order_book = moment.rebuild.book(exchange, symbol)
        said = order_book.state, order_book.reason, None
        return _served(order_book, moment.rebuild.event_time, moment.partition, depth, *said)
    return await owned_book(exchange, symbol, depth, forwarded=forwarded(request))


async def owned_book(
    exchange: str, symbol: str, depth: int, *, forwarded: bool = False
) -> dict[str, Any] | Passed:
    """The book from its owner, this worker or another; `forwarded`: another one takes this worker for it."""
    if config.role == "feeds":
        raise Problem(
            404, "no books here", "this worker only runs feeds (TRADEFLOW_ROLE): ask one with another role"
        )
    partition = maps.symbols[symbol]
    owner = _owner(partition)
    if owner != web_url:
        if forwarded:
            raise Problem(503, "rebalancing", "the partition has just moved; ask again in a second")
        return await _ask(owner / "books" / exchange / symbol % {"depth": depth})
    if partition not in owned_partitions() or not recovered():
        raise Problem(
            503,
            "not ready",
            f"{symbol} is being loaded by this worker; ask again in a second. If that lasts, another worker says"
            f" that {web_url} is its address: set TRADEFLOW_WEB_ADVERTISED_HOST there",
        )
    live = markets[partition]  # from the table, where no event has come since the partitions were shared out
    order_book = live.books[exchange, symbol]
    state, reason = freshness.of_book(
        order_book.state,
        order_book.reason,
        order_book.heard,
        live.event_time,
        time.time_ns(),
        order_book.silence_ns,
    )
    age = age_ms(order_book.receipt_time)
    return _served(order_book, live.event_time, partition, depth, state, reason, age)


def _served(
    order_book: OrderBook,
    event_time: int,
    partition: int,
    depth: int,
    state: str,
    reason: str,
    age: float | None,
) -> dict[str, Any]:
    bids, asks = order_book.book.top(depth)
    return {
        "exchange": order_book.exchange,
        "symbol": order_book.symbol,
        "state": state,
        "reason": reason,
        "since": order_book.since,
        "epoch": order_book.epoch,
        "sequence": order_book.sequence,
        "exchange_sequence": order_book.exchange_sequence,
        "exchange_time": order_book.exchange_time,
        "receipt_time": order_book.receipt_time,
        "event_time": event_time,
        "last_verified": order_book.last_verified,
        "age_ms": age,
        "kafka": {"topic": topics.MARKET_EVENTS, "partition": partition, "offset": order_book.offset},
        "levels": order_book.book.depth,
        "bids": bids,
        "asks": asks,
    }


def age_ms(since: int) -> float | None:
    """Milliseconds since a moment in nanoseconds; None where there was none."""
    return round((time.time_ns() - since) / 1e6, 3) if since else None


def _owner(partition: int) -> URL:
    if app.rebalancing:
        raise Problem(
            503, "rebalancing", "the workers are sharing the partitions out anew; ask again in a second"
        )
    try:
        owner: URL = router.owner("order_books", partition)
        return owner
    except KeyError:
        raise Problem(
            503, "no owner", f"no worker owns partition {partition} yet; ask again in a second"
        ) from None


async def _ask(url: URL) -> Passed:
    """What another worker answers."""
    if app.http_client.closed:
        raise Problem(503, "stopping", "this worker is ending; ask another one")
    try:
        async with app.http_client.get(url, headers={FORWARDED: "1"}, timeout=PEER_TIMEOUT) as response:
            return Passed(await response.read(), response.content_type, response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(503, "owner unreachable", f"{url.origin()} does not answer: {error!r}") from None


async def of_all_workers(key: str, own: list[Any], *, forwarded: bool) -> tuple[list[Any], list[str]]:
    """What this and all other workers of the group answer under `key` of `/key`, and which of them don't;
    `forwarded`: one of them asks, for this worker's own."""
    found, silent = list(own), []
    if not forwarded:
        peers = [url for url in router.workers() if url != web_url]
        answers = await asyncio.gather(*(_ask(url / key) for url in peers), return_exceptions=True)
        for url, result in zip(peers, answers, strict=True):
            if isinstance(result, Passed) and result.status == 200:
                found += msgspec.json.decode(result.body)[key]
            else:
                silent.append(str(url))
    return found, silent


def _with_age(top: TopOfBook, tail_age: float) -> dict[str, Any]:
    state, reason = freshness.of_list(top.state, top.reason, top.event_time, time.time_ns(), tail_age)
    return {
        **msgspec.structs.asdict(top),
        "state": state,
        "reason": reason,
        "age_ms": age_ms(top.event_time),
    }


@page("/books")
async def all_books(request: Request) -> Any:
    """Every served book: state, top, age.  One that nobody has published yet is `syncing`."""
    return {"books": listed_books()}


def listed_books() -> list[dict[str, Any]]:
    listed, tail_age = [], tail.age()
    for exchange, symbol in books:
        top = tail.top(exchange, symbol)
        listed.append(
            _with_age(top, tail_age)
            if top
            else {"exchange": exchange, "symbol": symbol, "state": "syncing", "reason": "not published yet"}
        )
    return listed


@page("/top-of-book/{symbol}")
async def top_of_book(request: Request, symbol: str) -> Any:
    """The best bid and ask of a symbol on all its exchanges."""
    symbol = known_symbol(symbol)
    tail_age = tail.age()
    tops = [_with_age(top, tail_age) for top in tail.tops() if top.symbol == symbol]
    return {"symbol": symbol, "exchanges": tops}


@page("/trades/{symbol}")
async def trades(request: Request, symbol: str) -> Any:
    """The last trades of a symbol on all its exchanges, newest first: `?limit=`."""
    symbol = known_symbol(symbol)
    return {"symbol": symbol, "trades": tail.trades(symbol, integer(request, "limit", 100, 1000))}


@page("/instruments")
async def instruments(request: Request) -> Any:
    """What the exchanges say of the served instruments: tick, lot and so on, from all workers of this group."""
    own = [instrument for market in markets.owned().values() for instrument in market.instruments]
    mine = [
        {
            "exchange": one.exchange,
            "symbol": one.symbol,
            "receipt_time": one.receipt_time,
            **msgspec.structs.asdict(one.listing),
        }
        for one in own
    ]
    found, silent = await of_all_workers("instruments", mine, forwarded=forwarded(request))
    found.sort(key=lambda one: (one["exchange"], one["symbol"]))
    return {"instruments": found, "silent_workers": silent}


# -- the system


@page("/feeds")
async def feeds(request: Request) -> Any:
    """The feeds of all workers of this group, and which workers don't answer."""
    return await all_feeds(forwarded=forwarded(request))


async def all_feeds(*, forwarded: bool = False) -> dict[str, Any]:
    found, silent = await of_all_workers("feeds", feed_service.status(), forwarded=forwarded)
    return {"feeds": sorted(found, key=lambda feed: feed["feed"]), "silent_workers": silent}


@page("/health")
async def health(request: Request) -> Any:
    """200 while the process lives and its event loop turns."""
    return {"status": "ok", "worker": feed_service.worker}


@page("/ready")
async def ready(request: Request) -> Any:
    """200 once the tables are loaded and the partitions are shared out, else 503."""
    if not recovered() or app.rebalancing:
        raise Problem(
            503, "not ready", "tables are being loaded or partitions shared out; ask again in a second"
        )
    return {"status": "ready", "partitions": sorted(owned_partitions())}


@page("/stats")
async def show_stats(request: Request) -> Any:
    """Counts of this worker since it started (orders and dead letters: of all workers), and the latency from
    raw to order in milliseconds, of the last `?seconds=` if given."""
    seconds = float(integer(request, "seconds", 0, 86_400, lowest=0)) or None
    return worker_stats(seconds)


def worker_stats(seconds: float | None, newest: int | None = None) -> dict[str, Any]:
    """`newest`: how many latencies are sorted at the most."""
    owned = markets.owned()
    return {
        "worker": feed_service.worker,
        "uptime_s": round(time.time() - stats.started, 1),
        "latency_ms": stats.latency_ms(seconds, newest),
        "stages_ms": {stage: timing.summary_ms(seconds, newest) for stage, timing in stats.stages.items()},
        "feed_lag_ms": _feed_lag_ms(owned.values()),
        "orders": tail.order_counts,
        "executions": tail.execution_counts,
        "conflicting_orders": tail.conflicting_orders,
        "dead_letters": tail.dead_letters,
        "markets": {partition: market.counts for partition, market in owned.items()},
        "checkpoints": {"count": markets.checkpoints, "last_seconds": round(markets.checkpoint_seconds, 4)},
        "unacknowledged_bytes": outbox.pending_bytes + feed_outbox.pending_bytes,
    }


def _feed_lag_ms(markets: Iterable[Market]) -> dict[str, float]:
    """By exchange, from its own time of a book's last record to its arrival; the median of the books."""
    lags: dict[str, list[float]] = {}
    for market in markets:
        for book in market.books.values():
            if book.exchange_time:
                lags.setdefault(book.exchange, []).append((book.receipt_time - book.exchange_time) / 1e6)
    return {exchange: round(statistics.median(found), 3) for exchange, found in sorted(lags.items())}
