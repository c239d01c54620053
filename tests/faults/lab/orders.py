"""Orders after all faults: what the log of events leads to, against what was sent."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import NamedTuple

import msgspec

from tests.faults.cluster import Cluster
from tests.faults.lab.system import SILENCE, STRATEGIES
from tradeflow import topics
from tradeflow.market import Market
from tradeflow.messages import MarketEvent, Order
from tradeflow.settings import load_settings
from tradeflow.strategies import load_strategies
from tradeflow.worker.trading_setup import TradingSetup, read_trading


class Orders(NamedTuple):
    """Of the topic `orders`.  `lost`: the log leads to them, and nobody sent them; `unfounded`: the reverse."""

    sent: int
    lost: int
    unfounded: int
    conflicting: int
    """Ids with more than one content."""
    wrong: int
    """Ids whose content is not what the log leads to."""
    first: str = ""
    """The earliest of all that is bad."""

    @property
    def good(self) -> bool:
        return bool(self.sent) and not any((self.lost, self.unfounded, self.conflicting, self.wrong))


def check_orders(cluster: Cluster) -> Orders:
    """Apply the log of `market-events` once, in one piece, with the same pure code.

    The workers must have ended in order: then all that is in the log below their last commit is applied."""
    expected: dict[tuple[str, str], Order] = {}
    decode = msgspec.json.Decoder(MarketEvent).decode
    served = cluster.maps.books(list(cluster.maps.exchanges))
    strategies = load_strategies(list(STRATEGIES), cluster.maps)
    max_jump = load_settings().max_jump_pct / 100
    setup = TradingSetup(read_trading(load_settings()), cluster.maps.symbols, served, strategies)
    ends = cluster.committed(topics.MARKET_EVENTS)
    late: set[tuple[str, str]] = set()
    for partition, records in cluster.read(topics.MARKET_EVENTS).items():
        books = [place for place in served if cluster.maps.symbols[place[1]] == partition]
        one = Market(
            partition,
            books,
            strategies,
            silence_ns=int(SILENCE * 1e9),
            max_jump=max_jump,
            gate=setup.gate(),
            balances=setup.balances,
        )
        for record in records:
            one.apply(decode(record.value), record.offset, record.timestamp * 1_000_000)
            for output in one.take_outputs():
                if output.topic == topics.ORDERS:
                    order = msgspec.json.decode(output.value, type=Order)
                    expected[order.order_id, order.command] = order
                    if record.offset >= ends[partition]:
                        late.add((order.order_id, order.command))  # nobody has had to apply it yet
    sent: dict[tuple[str, str], set[Order]] = defaultdict(set)
    for record in itertools.chain(*cluster.read(topics.ORDERS).values()):
        order = msgspec.json.decode(record.value, type=Order)
        sent[order.order_id, order.command].add(order)
    lost = expected.keys() - late - sent.keys()
    unfounded = sent.keys() - expected.keys()
    conflicting = {order_id for order_id, orders in sent.items() if len(orders) > 1}
    wrong = {key for key, orders in sent.items() if key in expected and expected[key] not in orders}
    bad = sorted(
        lost | unfounded | conflicting | wrong,
        key=lambda key: min(order.event_time for order in sent.get(key) or {expected[key]}),
    )
    first = f"sent {sent.get(bad[0])}, the log says {expected.get(bad[0])}" if bad else ""
    return Orders(len(sent), len(lost), len(unfounded), len(conflicting), len(wrong), first)
