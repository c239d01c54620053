"""Stock Faust: an agent, a RocksDB table with an entry a level (the cheapest form here), a send a change."""

from __future__ import annotations

import os
from typing import Any

import faust
from faust import current_event

from tables.book import Book

app = faust.App(
    "stock",
    broker=f"kafka://{os.environ['BENCH_BROKER']}",
    store="rocksdb://?driver=rocksdict",
    datadir="data",
    topic_partitions=4,
    topic_disable_leader=True,
    stream_wait_empty=False,
    broker_commit_interval=1.0,
    web_enabled=False,
)
events = app.topic("market-events", key_type=str, value_serializer="json", partitions=4)
tops = app.topic("top-of-book", key_type=str, value_serializer="json", partitions=4)
# Faust's own defaults reserve 2 GiB of cache a partition.
options = {"block_cache_size": 8 << 20, "write_buffer_size": 8 << 20}
levels = app.Table("levels", key_type=str, value_type=str, partitions=4, options=options)
books: dict[str, Book] = {}
published: dict[str, Any] = {}


@levels.on_recover
async def load() -> None:
    """After a restart the books are what the table holds."""
    for key, size in levels.items():
        symbol, side, price = key.split("|")
        getattr(books.setdefault(symbol, Book()), side).update([(price, size)])


@app.agent(events, name="books")
async def keep_books(stream: Any) -> None:
    async for event in stream:
        symbol = event["symbol"]
        book = books.get(symbol) or books.setdefault(symbol, Book())
        if event["type"] == "snapshot":
            for side in ("bids", "asks"):
                for price in getattr(book, side).sizes.keys() - dict(event[side]).keys():
                    del levels[f"{symbol}|{side}|{price}"]
            book.replace(event["bids"], event["asks"])
        else:
            book.update(event["bids"], event["asks"])
        for side in ("bids", "asks"):
            for price, size in event[side]:
                key = f"{symbol}|{side}|{price}"
                if size != "0":
                    levels[key] = size
                else:
                    levels.pop(key, None)
        best = (book.best_bid, book.best_ask)
        if best != published.get(symbol):
            published[symbol] = best
            top = {"symbol": symbol, "sequence": event["sequence"], "bid": best[0], "ask": best[1]}
            current = current_event()
            assert current is not None
            await tops.send(key=symbol, value=top, partition=current.message.partition)


if __name__ == "__main__":
    app.main()
