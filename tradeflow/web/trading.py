"""The views of orders and of what became of them.  Lists come from this worker's tail, runs from their owners."""

from __future__ import annotations

from typing import Any

import msgspec
from faust.web import Request

from tradeflow.market import Market
from tradeflow.market.profit import added, profit
from tradeflow.market.run import Run
from tradeflow.strategies.parameters import as_text
from tradeflow.tail import KnownOrder
from tradeflow.web import past
from tradeflow.web.answers import Problem, integer
from tradeflow.web.pages import page
from tradeflow.web.views import MAX_DEPTH, age_ms, forwarded, of_all_workers
from tradeflow.wiring import config, feed_service, markets, tail


@page("/orders")
async def orders(request: Request) -> Any:
    """The last orders, newest first, each with what has become of it: `?limit=`."""
    return {"orders": [with_status(one) for one in tail.orders(integer(request, "limit", 100, 10_000))]}


@page("/orders/{order_id}")
async def order(request: Request, order_id: str) -> Any:
    """One order, its cancel, and all its executions, oldest first."""
    found = tail.order(order_id)
    if found is None:
        raise Problem(404, "unknown order", f"no order {order_id!r} among the last ones; /orders lists them")
    return {"order": with_status(found), "cancel": found.cancel, "executions": found.executions}


@page("/orders/{order_id}/explain")
async def explained(request: Request, order_id: str) -> Any:
    """Why an order was sent, and what became of it: `?depth=` levels of the books that its strategy saw."""
    known = tail.order(order_id)
    depth = integer(request, "depth", config.order_book_depth, MAX_DEPTH)
    return await past.explained(order_id, known.order if known else None, depth)


def with_status(known: KnownOrder) -> dict[str, Any]:
    assert known.order is not None
    last = known.executions[-1] if known.executions else None
    return {
        **msgspec.structs.asdict(known.order),
        "status": known.status,
        "reason_code": last.reason_code if last else "",
        "reason": last.reason if last else "",
        "filled_size": last.filled_size if last else "0",
        "leaves_size": last.leaves_size if last else known.order.size,
        "average_price": last.average_price if last else None,
    }


@page("/executions")
async def executions(request: Request) -> Any:
    """The last verdicts and reports, newest first: `?limit=`."""
    return {"executions": tail.executions(integer(request, "limit", 100, 10_000))}


@page("/positions")
async def positions(request: Request) -> Any:
    """Each book's purse: position, profit and loss, balances."""
    found = [{**msgspec.structs.asdict(one), "age_ms": age_ms(one.event_time)} for one in tail.positions()]
    return {"positions": found}


@page("/strategies")
async def strategies(request: Request) -> Any:
    """Each strategy on each symbol: parameters, orders, profit and loss, halts; its totals; who doesn't answer."""
    return await all_strategies(forwarded=forwarded(request))


async def all_strategies(*, forwarded: bool = False) -> dict[str, Any]:
    own = [_run(market, run) for market in markets.owned().values() for run in market.runs]
    found, silent = await of_all_workers("strategies", own, forwarded=forwarded)
    found.sort(key=lambda run: (run["strategy"], run["symbols"]))
    return {"strategies": found, "totals": totals(found), "silent_workers": silent}


def totals(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each strategy on all its symbols; `lag_ms` is that of the symbol that lags most."""
    by_name = {run["strategy"]: [one for one in runs if one["strategy"] == run["strategy"]] for run in runs}
    return [
        {
            "strategy": name,
            "symbols": sorted({symbol for run in some for symbol in run["symbols"]}),
            "orders": sum(run["orders"] for run in some),
            "open_orders": sum(run["open_orders"] for run in some),
            "pnl": added(run["pnl"] for run in some),
            "lag_ms": max((run["lag_ms"] for run in some if run["lag_ms"] is not None), default=None),
        }
        for name, some in by_name.items()
    ]


def _run(market: Market, run: Run) -> dict[str, Any]:
    strategy = run.strategy
    return {
        "strategy": strategy.name,
        "class": type(strategy).__name__,
        "symbols": list(run.symbols),  # as those of other workers, with which they are sorted
        "parameters": as_text(strategy),
        "params_hash": strategy.params_hash,
        "shadow": strategy.shadow,
        "halted": run.halted,
        "steered": market.trading.halted(strategy.name, run.symbols),
        "orders": run.orders,
        "open_orders": len(run.own),
        "pnl": profit(run.positions, market.books),
        "event_time": market.event_time,
        "lag_ms": age_ms(market.event_time),
        "worker": feed_service.worker,
    }
