"""hftbacktest: the two strategies of bench/papers.py on its events, with its most cautious models.

Reads `events.npy` and `setup.json`, writes `result.json`: what each order got, and the money at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.order import IOC
from hftbacktest.types import event_dtype
from numba import njit

SECOND = 1_000_000_000
KINDS = {"depth": DEPTH_EVENT, "trade": TRADE_EVENT}
SIDES = {"buy": BUY_EVENT, "sell": SELL_EVENT}


@njit
def note(hbt: Any, filled: Any) -> None:
    """What each order has got, by its id."""
    orders = hbt.orders(0).values()
    while orders.has_next():
        order = orders.get()
        filled[order.order_id] = order.qty - order.leaves_qty
    hbt.clear_inactive_orders(0)


@njit
def cancel_all(hbt: Any) -> None:
    orders = hbt.orders(0).values()
    while orders.has_next():
        hbt.cancel(0, orders.get().order_id, False)


@njit
def taker(hbt: Any, start: int, seconds: int, size: float, filled: Any) -> None:
    """An order a second: two to buy at the ask, two to sell at the bid, and so on."""
    hbt.elapse(1)  # its clock begins with the first event
    for second in range(1, seconds):
        hbt.elapse(start + second * SECOND - hbt.current_timestamp)
        note(hbt, filled)
        depth = hbt.depth(0)
        if second % 4 < 2:
            hbt.submit_buy_order(0, second * 2, depth.best_ask, size, IOC, LIMIT, False)
        else:
            hbt.submit_sell_order(0, second * 2 + 1, depth.best_bid, size, IOC, LIMIT, False)
    hbt.elapse(2 * SECOND)
    note(hbt, filled)


@njit
def maker(hbt: Any, start: int, seconds: int, size: float, filled: Any) -> None:
    """Both sides at the touch, post-only, for two seconds of three."""
    hbt.elapse(1)  # its clock begins with the first event
    for second in range(1, seconds):
        hbt.elapse(start + second * SECOND - hbt.current_timestamp)
        note(hbt, filled)
        depth = hbt.depth(0)
        if second % 3 == 0:
            hbt.submit_buy_order(0, second * 2, depth.best_bid, size, GTX, LIMIT, False)
            hbt.submit_sell_order(0, second * 2 + 1, depth.best_ask, size, GTX, LIMIT, False)
        elif second % 3 == 2:
            cancel_all(hbt)
    hbt.elapse(SECOND)
    cancel_all(hbt)
    hbt.elapse(SECOND)
    note(hbt, filled)


def events_of(rows: list[Any]) -> Any:
    """Its array of the rows (depth | trade, side, time, price, size)."""
    events = np.zeros(len(rows), event_dtype)
    for place, (kind, side, time, price, size) in enumerate(rows):
        events[place]["ev"] = KINDS[kind] | SIDES[side] | EXCH_EVENT | LOCAL_EVENT
        events[place]["exch_ts"] = events[place]["local_ts"] = time
        events[place]["px"], events[place]["qty"] = float(price), float(size)
    return events


def asset_of(events: Any, setup: dict[str, Any]) -> Any:
    latency = setup["latency"]
    return (
        BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(latency, latency)
        .risk_adverse_queue_model()
        .partial_fill_exchange()
        .trading_value_fee_model(setup["maker"], setup["taker"])
        .tick_size(setup["tick"])
        .lot_size(setup["lot"])
    )


def main() -> None:
    setup = json.loads(Path("setup.json").read_text())
    events = events_of(json.loads(Path("events.json").read_text()))
    results = {}
    for name, run in (("taker", taker), ("maker", maker)):
        hbt = HashMapMarketDepthBacktest([asset_of(events, setup)])
        filled = np.zeros(2 * setup["seconds"] + 2)
        run(hbt, setup["start"], setup["seconds"], setup["size"], filled)
        state = hbt.state_values(0)
        results[name] = {
            "filled": {str(place): float(size) for place, size in enumerate(filled) if size},
            "last": {
                "volume": float(state.trading_volume),
                "position": float(state.position),
                "cash": float(state.balance),
                "fees": float(state.fee),
            },
        }
        hbt.close()
    Path("result.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
