"""The app: settings, maps, topics, tables and services put together.  The pipeline itself is in agents.py."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import msgspec
from yarl import URL

from tradeflow import topics
from tradeflow.cluster.security import client_options, credentials
from tradeflow.feeds.ownership import Feeds
from tradeflow.feeds.registry import check_exchanges
from tradeflow.market import Market
from tradeflow.messages import MarketEvent, Order, Raw, ResyncRequest, Terms
from tradeflow.partitions import load_maps, served_feeds
from tradeflow.ports import ListenError, check_listen
from tradeflow.settings import settings
from tradeflow.strategies import load_strategies
from tradeflow.web.access import is_loopback
from tradeflow.web.router import router_for
from tradeflow.web.server import MAX_BODY, Server
from tradeflow.worker.agreement import (
    MAPS,
    RECORDS,
    Agreement,
    DisagreementError,
    group_terms,
    map_terms,
    record_terms,
)
from tradeflow.worker.changes import BookChanges
from tradeflow.worker.checkpoint import Markets
from tradeflow.worker.garbage import settle_garbage
from tradeflow.worker.outbox import Outbox
from tradeflow.worker.plain_orders import PlainOrders
from tradeflow.worker.quiet import quiet_libraries
from tradeflow.worker.runs import RunSchema
from tradeflow.worker.state_tables import TABLES, StateTable, StateTables, claim_data_dir
from tradeflow.worker.steering import Steering
from tradeflow.worker.tail import Tail
from tradeflow.worker.trading_setup import TradingSetup, read_trading
from tradeflow.worker.transport import Transport

log = logging.getLogger(__name__)

quiet_libraries()
config = settings()
maps = load_maps(config.partition_maps)
books = maps.books(config.exchanges, config.symbols)
strategies = load_strategies(config.strategies, maps, config.strategies_file)
trading = TradingSetup(read_trading(config), maps.symbols, books, strategies)
specs = topics.topic_specs(maps)
kafka_client = client_options(config)
group_heartbeat = config.session_timeout / 5
"""Seconds after which a worker that has lost its partitions knows."""
any_address = config.web_host in ("0.0.0.0", "::")  # noqa: S104
web_host = config.web_advertised_host or (socket.gethostname() if any_address else config.web_host)
web_url = URL.build(scheme="http", host=web_host, port=config.web_port)


class App(faust.App):
    """A Faust app that declares and checks its topics before anything else starts."""

    def _new_web(self) -> Server:
        return Server(self)

    async def on_first_start(self) -> None:
        if not (config.token or is_loopback(config.web_host)):
            log.warning(
                "the web views listen on %s: whoever reaches it reads books, orders and feeds. TRADEFLOW_TOKEN isn't"
                " set: nobody may change anything there",
                config.web_host,
            )
        try:
            check_listen(config.web_host, config.web_port)
            cluster = await topics.declare_topics(
                kafka_client, specs, replication=config.replication_factor, timeout=config.kafka_wait
            )
            await agreement.reach(own_terms())
        except (topics.TopicError, ListenError, DisagreementError) as error:
            log.critical("%s", error)
            raise SystemExit(1) from None
        try:
            claim_data_dir(config.data_dir, cluster)
        except OSError as error:
            log.critical("TRADEFLOW_DATA_DIR=%s can't be used: %s", config.data_dir, error)
            raise SystemExit(1) from None
        await super().on_first_start()

    async def on_started_init_extra_services(self) -> None:
        await super().on_started_init_extra_services()
        for service in filter(None, (tail, feed_service, redis_writer)):
            await self.add_runtime_dependency(service)
        settle_garbage()


app = App(
    config.app_id if config.role == "all" else f"{config.app_id}-{config.role}",
    broker=f"kafka://{config.kafka_brokers.replace(',', ';')}",
    broker_credentials=credentials(config),
    env_prefix="TRADEFLOW_FAUST_",
    store="rocksdb://?driver=rocksdict",
    datadir=config.data_dir,
    topic_partitions=maps.symbols.count,
    topic_replication_factor=config.replication_factor,
    topic_disable_leader=True,
    table_standby_replicas=0,
    stream_wait_empty=False,
    stream_buffer_maxsize=400,  # runs, not records
    broker_commit_interval=config.commit_interval,
    broker_session_timeout=config.session_timeout,
    broker_heartbeat_interval=group_heartbeat,
    broker_request_timeout=max(90.0, config.session_timeout * 2),
    consumer_auto_offset_reset="earliest",
    consumer_max_fetch_size=256 * 1024,  # of each partition: what waits behind a lag takes memory
    producer_linger=0,
    producer_acks=-1,
    producer_max_batch_size=1024 * 1024,
    producer_max_request_size=topics.MAX_RECORD_BYTES,
    Router=router_for(maps.symbols),
    TableManager=StateTables,
    canonical_url=web_url,
    web_host=config.web_host,
    web_port=config.web_port,
    web_bind=config.web_host,
    web_application_options={"client_max_size": MAX_BODY},
    # Pages of Faust's own show tables, hosts and internals to everybody.
    web_tables_enabled=False,
    web_router_enabled=False,
    web_stats_enabled=False,
    web_graph_enabled=False,
    web_metrics_enabled=False,
)


def stop_worker(error: BaseException) -> None:
    """End the process: what was read and not committed is read again after a restart."""
    asyncio.get_running_loop().create_task(app.crash(error))


def producer() -> Any:
    service: Any = app.producer
    return service._producer


outbox = Outbox(producer, on_failure=stop_worker)
feed_outbox = Outbox(producer, on_failure=stop_worker, limit=config.feed_buffer_bytes)
orders = PlainOrders(outbox, maps.symbols, books)


def state_table(name: str) -> StateTable:
    table = StateTable(
        app,
        name=name,
        help=TABLES[name],
        beacon=app.tables.beacon,
        partitions=maps.symbols.count,
        key_type=bytes,
        value_type=bytes,
        extra_topic_configs={"max.message.bytes": str(topics.MAX_RECORD_BYTES), **topics.BROKERS_TIME},
        # Small, for each partition of each table has its own, and all of them fill.
        options={"block_cache_size": 2 << 20, "write_buffer_size": 2 << 20},
    )
    app.tables.add(table)
    return table


def run_topic(name: str, *, type: Any) -> Any:
    """A topic that agents read in runs."""
    run_topics.append(name)
    return app.topic(name, schema=RunSchema(type))


def create_market(partition: int) -> Market:
    return Market(
        partition,
        [book for book in books if maps.symbols[book[1]] == partition],
        strategies,
        depth=config.order_book_depth,
        silence_ns=int(config.silence_timeout * 1e9),
        max_jump=config.max_jump_pct / 100,
        normalized_per_second=config.normalized_books_per_second,
        strategy_budget=config.strategy_budget,
        keyframe_interval=round(config.keyframe_interval * 1e9),
        gate=trading.gate(),
        venue=trading.venue,
        balances=trading.balances,
    )


def agent(topic: Any, name: str, role: str) -> Callable[[Any], Any]:
    """Decorator: an agent of workers with this role (or `all`) that ends the process if it fails.

    Faust would acknowledge what a failed agent was reading and go on without it."""

    def decorate(function: Callable[[Any], Awaitable[None]]) -> Any:
        @functools.wraps(function)
        async def guarded(stream: Any) -> None:
            try:
                await function(stream)
            except Exception as error:
                log.critical("agent %s failed; the worker stops", name, exc_info=True)
                outbox.fail(f"agent {name} failed: {error!r}", "The traceback says more.")
                raise

        return app.agent(topic, name=name)(guarded) if config.role in ("all", role) else function

    return decorate


run_topics: list[str] = []
raw_topics = [
    run_topic(name(exchange), type=Raw)
    for exchange in sorted(maps.exchanges)
    for name in (topics.orderbook_topic, topics.trades_topic)
]
market_events_topic = run_topic(topics.MARKET_EVENTS, type=MarketEvent)
orders_topic = run_topic(topics.ORDERS, type=Order)
assignments_topic = run_topic(topics.FEED_ASSIGNMENTS, type=ResyncRequest)

tables = {name: state_table(name) for name in TABLES} if config.role != "feeds" else {}
changes = BookChanges(app)
book_changes = changes.channel
markets = Markets(topics.MARKET_EVENTS, tables, outbox, create_market, lambda: app.consumer_generation_id)
app.transport = Transport(
    [URL(f"kafka://{config.kafka_brokers}")], app, outbox=outbox, state=markets, run_topics=run_topics
)


def owned_partitions() -> set[int]:
    """Partitions of market-events that this worker owns."""
    return {tp.partition for tp in app.consumer.assignment() if tp.topic == topics.MARKET_EVENTS}


steering = Steering(outbox, owned_partitions, markets.owned)


def make_redis_writer() -> Any:
    """For a worker with books, if there is a Redis."""
    if config.redis_url is None or config.role == "feeds":
        return None
    from tradeflow.redis.writer import RedisWriter  # 6 MiB and a moment that nobody else needs to spend

    return RedisWriter(
        config.redis_url.get_secret_value(),
        markets.owned,
        prefix=config.app_id,
        worker=str(web_url),
        interval=1 / config.redis_updates_per_second,
        lifetime=config.redis_lifetime,
    )


redis_writer = make_redis_writer()

if config.role != "strategies":
    check_exchanges(feed.exchange for feed in served_feeds(maps, books))
feed_plan = {feed.index: feed for feed in served_feeds(maps, books)}
feed_service = Feeds(
    feed_plan,
    maps,
    config,
    feed_outbox,
    contest_after=group_heartbeat + 0.5,
    may_contest=lambda: not app.rebalancing,
)
agreement = Agreement(
    feed_service.worker, kafka_client, patience=config.session_timeout + 2, on_steer=steering.note
)


def own_terms() -> dict[str, dict[str, str]]:
    """What other workers must have in common with this one, once all agents are known."""
    channels = [agent.channel for agent in app.agents.values()]
    read = {name for channel in channels for name in getattr(channel, "topics", ())}
    group = group_terms(books, strategies if config.role != "feeds" else (), sorted(read))
    if config.role != "feeds":
        group |= trading.terms()
    return {MAPS: map_terms(maps), RECORDS: record_terms(), str(app.conf.id): group}


def hear_terms(offset: int, terms: Terms) -> None:
    if reason := agreement.heard(offset, terms):
        log.critical("%s", reason)
        stop_worker(DisagreementError(reason))


tail = Tail(kafka_client, on_claim=feed_service.foreign_claim, on_terms=hear_terms, on_steer=steering.heard)
feed_of = {(feed.exchange, symbol): feed.index for feed in feed_plan.values() for symbol in feed.symbols}


def ask_for_resync(request: ResyncRequest) -> None:
    """Send a market's request to the partition of the feed that serves the book."""
    index = feed_of[request.exchange, request.symbol]
    value = msgspec.json.encode(msgspec.structs.replace(request, feed=index))
    outbox.append(topics.FEED_ASSIGNMENTS, index, request.symbol.encode(), value)


def misplaced(order: Order, partition: int) -> str:
    """Why an order can't come before the gate; empty if it can."""
    if (order.exchange, order.symbol) not in books:
        return (
            f"{order.exchange}/{order.symbol} is not served: correct EXCHANGES, SYMBOLS or the partition maps"
        )
    right = maps.symbols[order.symbol]
    return (
        "" if right == partition else f"{order.symbol} belongs to partition {right}, it came on {partition}"
    )


@app.on_partitions_assigned.connect  # type: ignore[arg-type]
async def own_feeds(_: Any, assigned: set[Any], **kwargs: Any) -> None:
    steering.forget()
    if config.role != "strategies":
        await feed_service.assign({tp.partition for tp in assigned if tp.topic == topics.FEED_ASSIGNMENTS})
