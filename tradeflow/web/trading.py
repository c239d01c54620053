"""The views of orders and of what became of them.  Lists come from this worker's tail, runs from their owners."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from tradeflow.history.explain import Explanation
from tradeflow.market import Market
from tradeflow.market.profit import added, profit
from tradeflow.market.run import Run
from tradeflow.strategies.parameters import as_text
from tradeflow.web import past
from tradeflow.web.books import age_ms
from tradeflow.web.pages import page
from tradeflow.web.paging import part_of
from tradeflow.web.parameters import Depth, Name, Newest, Paged, Query
from tradeflow.web.peers import forwarded, of_all_workers
from tradeflow.web.problems import LOST_CURSOR, OF_PAST, UNKNOWN_ORDER, Problem
from tradeflow.web.served import (
    Executions,
    OrderHistory,
    Orders,
    Positions,
    ServedOrder,
    ServedPosition,
    Strategies,
    StrategyRun,
    StrategyTotal,
)
from tradeflow.wiring import config, feed_service, markets, tail
from tradeflow.worker.tail import MAX_EXECUTIONS, MAX_ORDERS, KnownOrder


class OrdersQuery(Newest, frozen=True, kw_only=True):
    strategy: Name | UnsetType = UNSET
    exchange: Name | UnsetType = UNSET
    symbol: Name | UnsetType = UNSET

    def wants(self, known: KnownOrder) -> bool:
        wanted = {"strategy": self.strategy, "exchange": self.exchange, "symbol": self.symbol}
        return all(value in (UNSET, getattr(known.order, name)) for name, value in wanted.items())


@page("/orders", LOST_CURSOR)
async def orders(request: web.Request, query: OrdersQuery) -> Orders:
    """The last orders, newest first, each with what has become of it; only those of a strategy, exchange or symbol."""
    rows, following = part_of(filter(query.wants, tail.orders(MAX_ORDERS)), query, _order_id)
    return Orders([with_status(one) for one in rows], following)


def _order_id(known: KnownOrder) -> str:
    assert known.order is not None
    return known.order.order_id


@page("/orders/{order_id}", UNKNOWN_ORDER)
async def order(request: web.Request, order_id: str) -> OrderHistory:
    """One order, its cancel, and all its executions, oldest first."""
    found = tail.order(order_id)
    if found is None:
        detail = f"no order {order_id!r} among the last ones; /orders lists them"
        raise Problem(UNKNOWN_ORDER, detail, order_id=order_id)
    return OrderHistory(with_status(found), found.cancel, found.executions)


class ExplainQuery(Query, frozen=True, kw_only=True):
    depth: Depth = config.order_book_depth


@page("/orders/{order_id}/explain", UNKNOWN_ORDER, *OF_PAST)
async def explained(request: web.Request, order_id: str, query: ExplainQuery) -> Explanation:
    """Why an order was sent, and what became of it; with the books that its strategy saw."""
    known = tail.order(order_id)
    return await past.explained(order_id, known.order if known else None, query.depth)


def with_status(known: KnownOrder) -> ServedOrder:
    assert known.order is not None
    last = known.executions[-1] if known.executions else None
    return ServedOrder(
        **msgspec.structs.asdict(known.order),
        status=known.status,
        reason_code=last.reason_code if last else "",
        reason=last.reason if last else "",
        filled_size=last.filled_size if last else "0",
        leaves_size=last.leaves_size if last else known.order.size,
        average_price=last.average_price if last else None,
    )


@page("/executions", LOST_CURSOR)
async def executions(request: web.Request, query: Newest) -> Executions:
    """The last verdicts and reports, newest first."""
    return Executions(*part_of(tail.executions(MAX_EXECUTIONS), query, lambda one: one.execution_id))


@page("/positions", LOST_CURSOR)
async def positions(request: web.Request, query: Paged) -> Positions:
    """Each book's purse: position, profit and loss, balances."""
    rows, following = part_of(tail.positions(), query, lambda one: f"{one.exchange}/{one.symbol}")
    aged = [ServedPosition(**msgspec.structs.asdict(one), age_ms=age_ms(one.event_time)) for one in rows]
    return Positions(aged, following)


@page("/strategies", LOST_CURSOR)
async def strategies(request: web.Request, query: Paged) -> Strategies:
    """Each strategy on each symbol: parameters, orders, profit and loss, halts; and which workers don't answer."""
    every = await all_strategies(forwarded=forwarded(request))
    every.strategies, every.next = part_of(every.strategies, query, _name)
    return every


def _name(run: StrategyRun) -> str:
    return f"{run.strategy}/{run.params_hash}/{'+'.join(run.symbols)}"


async def all_strategies(*, forwarded: bool = False) -> Strategies:
    own = [_run(market, run) for market in markets.owned().values() for run in market.runs]
    found, silent = await of_all_workers("strategies", own, StrategyRun, forwarded=forwarded)
    found.sort(key=lambda run: (run.strategy, run.symbols))
    return Strategies(found, totals(found), silent, None)


def totals(runs: list[StrategyRun]) -> list[StrategyTotal]:
    """Of each strategy on all its symbols."""
    by_name = {run.strategy: [one for one in runs if one.strategy == run.strategy] for run in runs}
    return [
        StrategyTotal(
            strategy=name,
            symbols=sorted({symbol for run in some for symbol in run.symbols}),
            orders=sum(run.orders for run in some),
            open_orders=sum(run.open_orders for run in some),
            pnl=added(run.pnl for run in some),
            lag_ms=max((run.lag_ms for run in some if run.lag_ms is not None), default=None),
        )
        for name, some in by_name.items()
    ]


def _run(market: Market, run: Run) -> StrategyRun:
    strategy = run.strategy
    return StrategyRun(
        strategy=strategy.name,
        class_name=type(strategy).__name__,
        symbols=list(run.symbols),
        parameters=as_text(strategy),
        params_hash=strategy.params_hash,
        shadow=strategy.shadow,
        halted=run.halted,
        steered=market.trading.halted(strategy.name, run.symbols),
        orders=run.orders,
        open_orders=len(run.own),
        pnl=profit(run.positions, market.books),
        event_time=market.event_time,
        lag_ms=age_ms(market.event_time),
        worker=feed_service.worker,
    )
