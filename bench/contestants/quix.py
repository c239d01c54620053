"""Quix Streams: a stateful function over the topic.

Setting a whole book at each delta would serialize 300 levels; so the state holds pages of a side's levels,
whose prices share all digits but the last, and a list of the pages; from these a restart builds the book.
"""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application, State

from tables.book import Book, Level

app = Application(
    broker_address=os.environ["BENCH_BROKER"],
    consumer_group="quix",
    auto_offset_reset="earliest",
    commit_interval=1.0,
    state_dir="state",
    producer_extra_config={"acks": "all"},
    consumer_extra_config={"session.timeout.ms": 10_000},
    loglevel="WARNING",
)
events = app.topic("market-events", value_deserializer="json")
tops = app.topic("top-of-book", value_serializer="json")


class PagedBook:
    """A book, its pages as they are in the state, and what was last published of it."""

    def __init__(self, state: State) -> None:
        self.pages: dict[str, dict[str, str]] = {key: state.get(key, {}) for key in state.get("pages", [])}
        self.book = Book()
        for key, levels in self.pages.items():
            getattr(self.book, key[:4]).update(levels.items())
        self.published = (self.book.best_bid, self.book.best_ask)

    def replace(self, event: dict[str, Any], state: State) -> None:
        self.book.replace(event["bids"], event["asks"])
        for key in self.pages:
            state.delete(key)
        self.pages = {}
        for side in ("bids", "asks"):
            self.write(side, event[side], state)

    def update(self, event: dict[str, Any], state: State) -> None:
        self.book.update(event["bids"], event["asks"])
        if event["bids"]:
            self.write("bids", event["bids"], state)
        if event["asks"]:
            self.write("asks", event["asks"], state)

    def write(self, side: str, levels: list[Level], state: State) -> None:
        known = len(self.pages)
        for price, size in levels:
            key = side + price[:-1]
            page = self.pages.setdefault(key, {})
            if size == "0":
                page.pop(price, None)
            else:
                page[price] = size
            state.set(key, page)
        if len(self.pages) != known:
            state.set("pages", list(self.pages))


books: dict[str, PagedBook] = {}


def keep_book(event: dict[str, Any], state: State) -> list[dict[str, Any]]:
    symbol = event["symbol"]
    paged = books.get(symbol)
    if paged is None:
        paged = books[symbol] = PagedBook(state)
    if event["type"] == "snapshot":
        paged.replace(event, state)
    else:
        paged.update(event, state)
    best = (paged.book.best_bid, paged.book.best_ask)
    if best == paged.published:
        return []
    paged.published = best
    return [{"symbol": symbol, "sequence": event["sequence"], "bid": best[0], "ask": best[1]}]


app.dataframe(events).apply(keep_book, stateful=True, expand=True).to_topic(tops)

if __name__ == "__main__":
    app.run()
