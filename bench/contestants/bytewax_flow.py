"""Bytewax: a stateful step over the topic, with its recovery store.

Bytewax commits nothing to Kafka: its store (SQLite) keeps offsets and state together, as of the end of each epoch.
So what the others commit each second is here an epoch of a second."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import OFFSET_BEGINNING

from tables.book import Book

Saved = tuple[dict[str, str], dict[str, str]]
BROKERS = [os.environ["BENCH_BROKER"]]
STATE = Path("state")


class KeptBook(op.StatefulLogic[dict[str, Any], "KafkaSinkMessage[bytes, bytes]", Saved]):
    """One symbol's book; what the store keeps of it are its levels."""

    def __init__(self, saved: Saved | None) -> None:
        self.book = Book(*(side.items() for side in saved)) if saved else Book()
        self.published = (self.book.best_bid, self.book.best_ask)

    def on_item(self, value: dict[str, Any]) -> tuple[list[KafkaSinkMessage[bytes, bytes]], bool]:
        book = self.book
        (book.replace if value["type"] == "snapshot" else book.update)(value["bids"], value["asks"])
        best = (book.best_bid, book.best_ask)
        if best == self.published:
            return [], op.StatefulLogic.RETAIN
        self.published = best
        top = {"symbol": value["symbol"], "sequence": value["sequence"], "bid": best[0], "ask": best[1]}
        return [KafkaSinkMessage(value["symbol"].encode(), orjson.dumps(top))], op.StatefulLogic.RETAIN

    def snapshot(self) -> Saved:
        return dict(self.book.bids.sizes), dict(self.book.asks.sizes)


def by_symbol(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, dict[str, Any]]:
    event = orjson.loads(message.value)
    return event["symbol"], event


flow = Dataflow("bytewax")
events = kafka.input(
    "events",
    flow,
    brokers=BROKERS,
    topics=["market-events"],
    starting_offset=OFFSET_BEGINNING,
    batch_size=500,
)
tops = op.stateful("books", op.map("by_symbol", events.oks, by_symbol), KeptBook)
kafka.output(
    "tops",
    op.map("values", tops, lambda pair: pair[1]),
    brokers=BROKERS,
    topic="top-of-book",
    add_config={"acks": "all"},
)

if __name__ == "__main__":
    if not STATE.exists():
        STATE.mkdir()
        init_db_dir(STATE, 1)
    cli_main(flow, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(STATE))
