"""What must come out of a cluster: the orders, executions and books that its log leads to without any fault."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.faults.cluster import STRATEGIES, Cluster, Worker
from tradeflow import topics
from tradeflow.market import Market
from tradeflow.messages import Execution, MarketEvent, Order
from tradeflow.partitions import PartitionMaps
from tradeflow.settings import load_settings
from tradeflow.strategies import Strategy, load_strategies
from tradeflow.worker.trading_setup import TradingSetup, read_trading

Commands = dict[tuple[str, str], Order]
"""(order id, NEW | CANCEL) → order."""


class Reference:
    """What the log of market-events must lead to: the same pure code, run once, in one piece, without faults."""

    def __init__(
        self, maps: PartitionMaps, log: dict[int, list[Any]], strategies: Iterable[Strategy]
    ) -> None:
        decode = msgspec.json.Decoder(MarketEvent).decode
        self.orders: Commands = {}
        self.executions: dict[str, Execution] = {}
        """By execution id: the gate's verdicts, and what the paper exchange says."""
        self.markets: dict[int, Market] = {}
        strategies = list(strategies)
        served = maps.books(list(maps.exchanges))
        setup = TradingSetup(read_trading(load_settings()), maps.symbols, served, strategies)
        for partition, records in log.items():
            books = [place for place in served if maps.symbols[place[1]] == partition]
            market = self.markets[partition] = Market(
                partition,
                books,
                strategies,
                silence_ns=10**18,
                gate=setup.gate(),
                venue=setup.venue,
                balances=setup.balances,
            )
            for record in records:
                market.apply(decode(record.value), record.offset, record.timestamp * 1_000_000)
                for output in market.take_outputs():
                    self._note(output.topic, output.value)

    def _note(self, topic: str, value: bytes) -> None:
        if topic == topics.ORDERS:
            order = msgspec.json.decode(value, type=Order)
            self.orders[order.order_id, order.command] = order
        elif topic == topics.EXECUTIONS:
            execution = msgspec.json.decode(value, type=Execution)
            self.executions[execution.execution_id] = execution

    def book(self, exchange: str, symbol: str) -> Any:
        return next(m.books[exchange, symbol] for m in self.markets.values() if (exchange, symbol) in m.books)


def strategies(maps: PartitionMaps) -> list[Strategy]:
    return load_strategies(STRATEGIES, maps)


def sent_orders(cluster: Cluster) -> dict[tuple[str, str], set[Order]]:
    """Every content that each command of an order was ever sent with."""
    found: dict[tuple[str, str], set[Order]] = defaultdict(set)
    for record in itertools.chain(*cluster.read(topics.ORDERS).values()):
        order = msgspec.json.decode(record.value, type=Order)
        found[order.order_id, order.command].add(order)
    return found


def sent_executions(cluster: Cluster) -> dict[str, set[Execution]]:
    found: dict[str, set[Execution]] = defaultdict(set)
    for record in itertools.chain(*cluster.read(topics.EXECUTIONS).values()):
        execution = msgspec.json.decode(record.value, type=Execution)
        found[execution.execution_id].add(execution)
    return found


def check_orders(cluster: Cluster, reference: Reference) -> int:
    """No order is missing, none is too many, each id has one content, the reference's; and so are its executions."""
    sent = sent_orders(cluster)
    assert sent, "the strategies sent nothing at all"
    compare(sent, reference.orders, "orders")
    executions = sent_executions(cluster)
    compare(executions, reference.executions, "executions")
    statuses = {execution.status for contents in executions.values() for execution in contents}
    assert {"SUBMITTED", "DENIED", "ACCEPTED", "FILLED"} <= statuses, statuses
    return len(sent)


def compare(sent: dict[Any, set[Any]], expected: dict[Any, Any], what: str) -> None:
    missing, extra = expected.keys() - sent.keys(), sent.keys() - expected.keys()
    several = [key for key, contents in sent.items() if len(contents) > 1]
    wrong = [key for key, contents in sent.items() if expected.get(key) not in contents]
    summary = (len(missing), len(extra), len(several), len(wrong))
    assert summary == (0, 0, 0, 0), (
        f"{what}: (missing, extra, several contents, wrong) = {summary} of {len(sent)}\n"
        f"missing: {tallied(expected[key] for key in missing)}\n"
        f"extra: {tallied(content for key in extra for content in sent[key])}\n"
        f"several: {[sent[key] for key in several[:3]]}"
    )


def tallied(found: Iterable[Order | Execution]) -> dict[str, tuple[int, Any]]:
    """How many there are of each kind, and the earliest of it."""
    kinds: dict[str, list[Any]] = defaultdict(list)
    for one in found:
        said = f"{one.command} {one.strategy}" if isinstance(one, Order) else str(one.status)
        kinds[f"{said} {one.exchange}/{one.symbol}"].append(one)
    return {kind: (len(of), min(of, key=lambda one: one.event_time)) for kind, of in sorted(kinds.items())}


def check_books(worker: Worker, reference: Reference, books: Iterable[tuple[str, str]]) -> int:
    """Every served book equals the reference, level by level and digit by digit."""
    count = 0
    for exchange, symbol in books:
        served, expected = worker.book(exchange, symbol), reference.book(exchange, symbol)
        bids, asks = expected.book.top(100_000)
        assert (served["epoch"], served["sequence"], served["state"]) == (
            expected.epoch,
            expected.sequence,
            expected.state,
        ), f"{exchange}/{symbol}"
        assert [tuple(level) for level in served["bids"]] == [tuple(level) for level in bids]
        assert [tuple(level) for level in served["asks"]] == [tuple(level) for level in asks]
        count += 1
    return count
