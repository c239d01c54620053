"""NautilusTrader: the taker of bench/backtests.py on its events.

Reads `events.json` and `setup.json`, writes `result.json`: CPU seconds of each run, orders, and what was filled."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FillModel, LatencyModel
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
    TimeInForce,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

SECOND = 1_000_000_000
KRAKEN = Venue("KRAKEN")
ID = InstrumentId(Symbol("BTC/USDT"), KRAKEN)
PRICE_DECIMALS, SIZE_DECIMALS = 1, 8


class Taker(Strategy):
    """An order a second: two to buy at the ask, two to sell at the bid, and so on."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__()
        self.setup, self.sent, self.filled = setup, 0, Decimal(0)

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(ID)
        self.subscribe_order_book_deltas(ID, book_type=BookType.L2_MBP, managed=True)
        self.clock.set_timer_ns(
            "tick",
            SECOND,
            self.setup["start"],
            self.setup["start"] + self.setup["seconds"] * SECOND,
            self.tick,
        )

    def tick(self, event: Any) -> None:
        second = (event.ts_event - self.setup["start"]) // SECOND
        if not 0 < second < self.setup["seconds"]:
            return
        book, buys = self.cache.order_book(ID), second % 4 < 2
        self.submit_order(
            self.order_factory.limit(
                ID,
                OrderSide.BUY if buys else OrderSide.SELL,
                self.instrument.make_qty(self.setup["size"]),
                book.best_ask_price() if buys else book.best_bid_price(),
                time_in_force=TimeInForce.IOC,
            )
        )
        self.sent += 1

    def on_order_filled(self, event: Any) -> None:
        self.filled += event.last_qty.as_decimal()


def data(rows: list[list[Any]]) -> list[Any]:
    """Levels of one moment are one OrderBookDeltas, as one record of tradeflow's is."""
    found: list[Any] = []
    for (kind, moment), group in groupby(rows, lambda row: (row[0], row[2])):
        if kind == "trade":
            for _, side, _, price, size in group:
                aggressor = AggressorSide.BUYER if side == "buy" else AggressorSide.SELLER
                amounts = Price(float(price), PRICE_DECIMALS), Quantity(float(size), SIZE_DECIMALS)
                found.append(TradeTick(ID, *amounts, aggressor, TradeId(str(len(found))), moment, moment))
            continue
        levels = list(group)
        deltas = []
        for number, (_, side, _, price, size) in enumerate(levels, 1):
            order = BookOrder(
                OrderSide.BUY if side == "buy" else OrderSide.SELL,
                Price(float(price), PRICE_DECIMALS),
                Quantity(float(size), SIZE_DECIMALS),
                0,
            )
            action = BookAction.UPDATE if float(size) else BookAction.DELETE
            flags = RecordFlag.F_LAST if number == len(levels) else 0
            deltas.append(OrderBookDelta(ID, action, order, flags, 0, moment, moment))
        found.append(OrderBookDeltas(ID, deltas))
    return found


def run(events: list[Any], setup: dict[str, Any]) -> dict[str, Any]:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    latency = setup["latency"]
    engine.add_venue(
        KRAKEN,
        OmsType.NETTING,
        AccountType.CASH,
        [Money(100_000, USDT), Money(2, BTC)],
        book_type=BookType.L2_MBP,
        fill_model=FillModel(),
        latency_model=LatencyModel(base_latency_nanos=latency),
        liquidity_consumption=True,
    )
    engine.add_instrument(
        CurrencyPair(
            ID,
            Symbol("BTC/USDT"),
            BTC,
            USDT,
            PRICE_DECIMALS,
            SIZE_DECIMALS,
            Price(0.1, PRICE_DECIMALS),
            Quantity(1e-8, SIZE_DECIMALS),
            0,
            0,
            maker_fee=Decimal(str(setup["maker"])),
            taker_fee=Decimal(str(setup["taker"])),
        )
    )
    strategy = Taker(setup)
    engine.add_strategy(strategy)
    engine.add_data(events)
    began = time.process_time()
    engine.run()
    took = time.process_time() - began
    engine.dispose()
    return {"seconds": took, "orders": strategy.sent, "filled": str(strategy.filled)}


def main() -> None:
    setup = json.loads(Path("setup.json").read_text())
    events = data(json.loads(Path("events.json").read_text()))
    Path("result.json").write_text(json.dumps([run(events, setup) for _ in range(setup["repeats"])]))


if __name__ == "__main__":
    main()
