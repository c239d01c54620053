"""All runs of a partition: which handler an event concerns, in the order in which strategies were named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from tables.instruments import Instrument
from tradeflow.market.agents import plain_agent
from tradeflow.market.budget import Budget
from tradeflow.market.orders import Orders, TrackedOrder
from tradeflow.market.run import Run
from tradeflow.market.timers import Timers
from tradeflow.messages import BookRecord, Cause, Execution, Order, Trade
from tradeflow.strategies.order_views import ExecutionView, OrderView
from tradeflow.strategies.strategy import Strategy, StrategyError
from tradeflow.strategies.views import BookView, TradeView

Handlers = dict[str, list[tuple[Run, Callable[..., Any]]]]


class Runs:
    """`books`: symbol → exchange → view, of every served book.  `budget`: seconds a call; None: nothing is timed."""

    def __init__(
        self,
        strategies: Sequence[Strategy],
        books: Mapping[str, Mapping[str, BookView]],
        registry: Orders,
        budget: float | None = None,
    ) -> None:
        self._budget = budget
        self._registry = registry
        self._books = MappingProxyType(
            {symbol: MappingProxyType(dict(views)) for symbol, views in books.items()}
        )
        self.all = [run for strategy in strategies for run in self._of(strategy)]
        self._by_key = {run.key: run for run in self.all}
        self._agents: dict[tuple[str, str], Run] = {}
        self._agents_dirty = False
        self._find_handlers()

    def _find_handlers(self) -> None:
        """They are bound to the strategies as they are now."""
        self._on_book = self._handlers("on_book")
        self.watched = frozenset(self._on_book)
        """Symbols whose books a strategy handles."""
        self._on_trade = self._handlers("on_trade")
        self.timers = Timers(self.all)

    def on_book(self, event: BookRecord, view: BookView, now: int) -> list[Order]:
        """The orders that a change of a live book causes."""
        handlers = self._on_book.get(event.symbol, ())
        return [order for run, on in handlers for order in run.handle(on, event.symbol, now, event, view)]

    def on_trade(self, event: Trade, now: int) -> list[Order]:
        """The orders that a trade causes."""
        handlers = self._on_trade.get(event.symbol)
        if not handlers:
            return []
        view = TradeView(event)
        return [order for run, on in handlers for order in run.handle(on, event.symbol, now, event, view)]

    def on_execution(
        self, one: TrackedOrder, execution: Execution, instrument: Instrument | None, now: int
    ) -> list[Order]:
        """The orders that a change of an order causes, in the run that it belongs to."""
        run = self._by_key.get(one.run)
        if run is None:
            return []
        if execution.last_size is not None and instrument is not None:
            run.fill(execution, instrument)
        if not one.is_open:
            run.forget(execution.order_id)
        if not run.strategy.handles("on_execution"):
            return []
        cause = Cause(kind="execution", execution=execution.execution_id)
        view = ExecutionView(execution, OrderView(one))
        return run.handle(run.strategy.on_execution, execution.symbol, now, cause, view)

    def cancels_on_loss(self, key: str) -> bool:
        """Of a run that isn't there any more: yes."""
        run = self._by_key.get(key)
        return run is None or run.strategy.cancel_on_loss

    def track(self, orders: Iterable[TrackedOrder]) -> None:
        """The open orders of a checkpoint go to the runs that they belong to, whose states are there already."""
        for one in orders:
            if one.run in self._by_key:
                self._by_key[one.run].track(one)
        self._find_handlers()

    def of_agent(self, name: str, symbol: str) -> Run:
        """The run of a plain agent's orders for a symbol, made with the first of them."""
        run = self._agents.get((name, symbol))
        if run is None:
            run = self._agents[name, symbol] = Run(plain_agent(name), (symbol,), self._books, self._registry)
            self.all.append(run)
            self._by_key[run.key] = run
            self._agents_dirty = True
        return run

    def take_dirty_agents(self) -> dict[str, bytes]:
        """Which plain agents there are; their runs are written as all others."""
        found = {"agents": msgspec.json.encode(list(self._agents))} if self._agents_dirty else {}
        self._agents_dirty = False
        return found

    def restore_agents(self, read: Callable[[str], bytes | None]) -> None:
        """The plain agents of a checkpoint, with the rows of their runs."""
        for name, symbol in msgspec.json.decode(read("agents") or b"[]", type=list[tuple[str, str]]):
            if symbol in self._books and (row := read(self.of_agent(name, symbol).key)) is not None:
                self.of_agent(name, symbol).restore(row)
        self._agents_dirty = False

    def resume(self, strategy: str, symbol: str) -> None:
        """Let those of a strategy (and symbol, if it isn't empty) that are halted for an error try again."""
        for run in self.all:
            if run.strategy.name == strategy and (not symbol or symbol in run.symbols):
                run.resume()

    def set_parameters(self, strategy: str, values: Mapping[str, str]) -> None:
        for run in self.all:
            if run.strategy.name == strategy:
                run.set_parameters(values)
        self._find_handlers()

    def advance(self, before: int, after: int) -> list[Order]:
        """The orders of the timers that fire while event time moves from `before` to `after`."""
        orders = []
        for time, run, name, handler in self.timers.advance(before, after):
            cause = Cause(kind="timer", timer=name, time=time)
            orders += run.handle(handler, run.symbols[0], time, cause)
        return orders

    def _of(self, strategy: Strategy) -> list[Run]:
        if not strategy.symbols:
            return [self._run(strategy, (symbol,)) for symbol in sorted(self._books)]
        here = [symbol for symbol in strategy.symbols if symbol in self._books]
        if len(here) == len(strategy.symbols):
            return [self._run(strategy, strategy.symbols)]
        if here:
            missing = ", ".join(sorted(set(strategy.symbols) - set(here)))
            raise StrategyError(
                f"{strategy.name}: {missing} is not served together with {', '.join(here)}; "
                "correct its symbols, SYMBOLS or the partition map symbols.json"
            )
        return []

    def _run(self, strategy: Strategy, symbols: tuple[str, ...]) -> Run:
        budget = None if self._budget is None else Budget(self._budget)
        return Run(strategy, symbols, self._books, self._registry, budget)

    def _handlers(self, name: str) -> Handlers:
        found: Handlers = {}
        for run in self.all:
            if run.strategy.handles(name):
                for symbol in run.symbols:
                    found.setdefault(symbol, []).append((run, getattr(run.strategy, name)))
        return found
