"""docs/reference/topics.md and a JSON Schema for each topic, from the records in tradeflow/messages."""

from __future__ import annotations

import json
import types
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from tradeflow import messages, topics
from tradeflow.partitions import load_maps
from tradeflow.schemas import class_doc, components, field_docs

HEAD = f"""\
# Topics

<!-- Written by `make docs` from tradeflow/messages/ and tradeflow/topics.py. -->

Every worker declares all topics at start and checks how many partitions they have.  A record is one JSON
object.  `v` is the version of its schema, now {messages.SCHEMA_VERSION}; where a topic holds several kinds, \
`type` tells them apart.  Fields may be added under the same `v`: ignore those that you don't know.  Refuse a `v` that
you don't know.  A record's Kafka timestamp is the broker's (`message.timestamp.type=LogAppendTime`).

- Prices and sizes are decimal strings, exact to the exchange's last digit, never with an exponent.
- Times are integer nanoseconds since 1970, UTC.  `exchange_time` is the exchange's own, null where it gave none
  (in the raw topics as the exchange spells it); `receipt_time` is when our socket had it; `event_time` is the
  largest receipt time so far in the partition, where one that is more than a second ahead of the broker's time of
  the record counts as that.
- `epoch` is one unbroken subscription.  `sequence` counts from 0 in it without a hole: books, trades and instruments
  of each symbol apart.  A record at or below the last (`epoch`, `sequence`) has been seen: drop it.
- `exchange_sequence` is the exchange's own number, null where it has none.

| Topic | Partitions | Key | Written by | Kept | Schema |
|---|---|---|---|---|---|
"""

FOOT = """
The tables `order_books` and `strategy_states` have changelogs, `<app id>-<table>-changelog`; what is in them is
private to the workers ([checkpoint](../architecture.md#checkpoint)).

"""


class Topic(NamedTuple):
    """What its readers have to know beside its records."""

    records: Any
    partitions: str
    key: str
    writer: str
    says: str


RAW, SYMBOLS = "`<exchange>.json`", "`symbols.json`"

TOPICS = {
    "<exchange>-orderbook": Topic(
        messages.RawBook | messages.RawDown | messages.RawHeartbeat | messages.RawInstrument,
        RAW,
        "symbol",
        "feeds",
        "Snapshots and deltas as the exchange sent them, what it says of the instruments, signs of life, and the ends "
        "of subscriptions.",
    ),
    "<exchange>-trades": Topic(
        messages.RawTrade, RAW, "symbol", "feeds", "Trades as the exchange sent them, repeated ones included."
    ),
    topics.MARKET_EVENTS: Topic(
        messages.MarketEvent,
        SYMBOLS,
        "symbol, empty for `clock`",
        "agents `normalize`, `risk` and `market`, timer `clock`",
        "The one ordered log of a partition: all exchanges' events of its symbols in canonical form, commands and "
        "executions of their orders, and operators' words.",
    ),
    topics.TOP_OF_BOOK: Topic(
        messages.TopOfBook,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "Best bid and ask, when they or the book's state change, and again every 5 s.",
    ),
    topics.NORMALIZED_BOOKS: Topic(
        messages.NormalizedBook,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "The best `ORDER_BOOK_DEPTH` levels a side, at each change of state, else at most "
        "`TRADEFLOW_NORMALIZED_BOOKS_PER_SECOND` times a second.",
    ),
    topics.KEYFRAMES: Topic(
        messages.Keyframe,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "Every book, whole, each `TRADEFLOW_KEYFRAME_INTERVAL` of event time: from there the log leads to any later "
        "moment ([how](../replay.md#any-earlier-book)).",
    ),
    topics.TRADES: Topic(
        messages.Trade, SYMBOLS, "symbol", "agent `market`", "Trades, each exchange's id once."
    ),
    topics.ORDERS: Topic(
        messages.Order,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "Commands of strategies: NEW orders, and their CANCELs under the same id.  After a crash some come again, with "
        "the same content.",
    ),
    topics.EXECUTIONS: Topic(
        messages.Execution,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "The gate's verdict on each order, then what its venue reports.  After a crash some come again, with the same "
        "`order_id` and `number` and the same content.",
    ),
    topics.POSITIONS: Topic(
        messages.PositionRecord,
        SYMBOLS,
        "symbol",
        "agent `market`",
        "Each book's purse, after every fill and again every 5 s; the newest `event_time` counts.",
    ),
    topics.FEED_ASSIGNMENTS: Topic(
        messages.ResyncRequest,
        "one a feed",
        "symbol",
        "agent `market`",
        "Who owns a partition runs the feed of that number; a record asks that feed for a new snapshot.",
    ),
    topics.FEED_CLAIMS: Topic(
        messages.FeedClaim,
        "one",
        "feed",
        "feeds",
        "A feed's claim before each connection; the record's offset is the epoch.",
    ),
    topics.CONTROL: Topic(
        messages.Terms | messages.Steer,
        "one",
        "scope; `steer`",
        "every worker at its start, operators",
        "What workers must have in common: the maps, and what a group serves, runs and allows.  And operators' words: "
        "the owner of each partition copies them into its log.",
    ),
    topics.DEAD_LETTERS: Topic(
        messages.DeadLetter,
        "one",
        "the original's",
        "agents",
        "Records that could not be used, with the reason and the original bytes.",
    ),
}


def page(maps_directory: Path) -> str:
    maps = load_maps(maps_directory)
    days = {
        general_name(spec.name, maps.exchanges): spec.retention_ms // topics.DAY
        for spec in topics.topic_specs(maps)
    }
    text = HEAD
    for name, topic in TOPICS.items():
        schema = f"[JSON Schema](schemas/{_file(name)})" if topic.records else "–"
        text += (
            f"| `{name}` | {topic.partitions} | {topic.key} | {topic.writer} | {days[name]} d | {schema} |\n"
        )
    text += FOOT
    for name, topic in TOPICS.items():
        text += f"## `{name}`\n\n{topic.says}\n\n"
        for record in _records(topic.records):
            text += "\n".join(_record(record)) + "\n\n"
    return text.rstrip() + "\n"


def schemas() -> dict[str, str]:
    """File name → JSON Schema 2020-12 of a topic's values."""
    return {_file(name): _schema(name, topic) for name, topic in TOPICS.items() if topic.records}


def general_name(topic: str, exchanges: Collection[str]) -> str:
    """`<exchange>-trades` of `binance-trades`; any other name as it is."""
    for exchange in exchanges:
        if topic in (topics.orderbook_topic(exchange), topics.trades_topic(exchange)):
            return topic.replace(exchange, "<exchange>", 1)
    return topic


def _record(record: type[msgspec.Struct]) -> Iterator[str]:
    tag = record.__struct_config__.tag
    yield f"### `{record.__name__}`" + (f", `type` = `{tag}`" if tag else "")
    if says := class_doc(record):
        yield from ("", says)
    yield from ("", "| Field | Type | |", "|---|---|---|")
    says_of = field_docs(record)
    for field in msgspec.structs.fields(record):
        yield f"| `{field.name}` | {_type_name(field.type)} | {says_of.get(field.name, '')} |"
        if field.type in (messages.Cause, messages.Listing):
            says_of_part = field_docs(field.type)
            for part in msgspec.structs.fields(field.type):
                says = says_of_part.get(part.name, "")
                yield f"| `{field.name}.{part.name}` | {_type_name(part.type)} | {says} |"


def _type_name(type_: Any) -> str:
    if type_ == messages.Level:
        return "[price, size]"
    if get_origin(type_) in (Union, types.UnionType):
        return " or ".join(_type_name(argument) for argument in get_args(type_))
    if get_origin(type_) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(type_))
    if get_origin(type_) is list:
        return f"list of {_type_name(get_args(type_)[0])}"
    words = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return words.get(type_, "object")


def _records(union: Any) -> list[type[msgspec.Struct]]:
    return [] if union is None else list(get_args(union)) or [union]


def _file(topic: str) -> str:
    return topic.replace("<exchange>", "exchange") + ".json"


def _schema(name: str, topic: Topic) -> str:
    (found,), definitions = components([topic.records], "#/$defs/{name}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name}
    return json.dumps({**head, **found, "$defs": definitions}, indent=2, ensure_ascii=False) + "\n"
