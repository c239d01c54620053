"""What must come out of a cluster: the orders and books that its log leads to without any fault."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.faults.cluster import STRATEGIES, Cluster, Worker
from tradeflow import topics
from tradeflow.market import Market
from tradeflow.messages import MarketEvent, Order
from tradeflow.partitions import PartitionMaps
from tradeflow.strategies import Strategy, load_strategies


class Reference:
    """What the log of market-events must lead to: the same pure code, run once, in one piece, without faults."""

    def __init__(
        self, maps: PartitionMaps, log: dict[int, list[Any]], strategies: Iterable[Strategy]
    ) -> None:
        decode = msgspec.json.Decoder(MarketEvent).decode
        self.orders: dict[str, Order] = {}
        self.markets: dict[int, Market] = {}
        served = maps.books(list(maps.exchanges))
        for partition, records in log.items():
            books = [place for place in served if maps.symbols[place[1]] == partition]
            market = self.markets[partition] = Market(partition, books, list(strategies), silence_ns=10**18)
            for record in records:
                market.apply(decode(record.value), record.offset, record.timestamp * 1_000_000)
                for output in market.take_outputs():
                    if output.topic == topics.ORDERS:
                        order = msgspec.json.decode(output.value, type=Order)
                        self.orders[order.order_id] = order

    def book(self, exchange: str, symbol: str) -> Any:
        return next(m.books[exchange, symbol] for m in self.markets.values() if (exchange, symbol) in m.books)


def strategies(maps: PartitionMaps) -> list[Strategy]:
    return load_strategies(STRATEGIES, maps)


def sent_orders(cluster: Cluster) -> dict[str, set[Order]]:
    """Every content that each order id was ever sent with."""
    found: dict[str, set[Order]] = defaultdict(set)
    for record in itertools.chain(*cluster.read(topics.ORDERS).values()):
        order = msgspec.json.decode(record.value, type=Order)
        found[order.order_id].add(order)
    return found


def check_orders(cluster: Cluster, reference: Reference) -> int:
    """No order is missing, none is too many, each id has one content, the reference's."""
    sent = sent_orders(cluster)
    assert sent, "the strategies sent nothing at all"
    missing = reference.orders.keys() - sent.keys()
    extra = sent.keys() - reference.orders.keys()
    several = [order_id for order_id, contents in sent.items() if len(contents) > 1]
    wrong = [
        order_id for order_id, contents in sent.items() if reference.orders.get(order_id) not in contents
    ]
    summary = (len(missing), len(extra), len(several), len(wrong))
    assert summary == (0, 0, 0, 0), f"(missing, extra, several contents, wrong) = {summary} of {len(sent)}"
    return len(sent)


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
