"""Tops of book from Kafka's topic itself: where no worker answers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from tradeflow.cluster.reader import KafkaReader
from tradeflow.commands.tops import Row
from tradeflow.messages import TopOfBook
from tradeflow.topics import TOP_OF_BOOK
from tradeflow.web.freshness import of_list

LOOKBACK_MS = 30_000
"""Every book is published again more often than that."""


async def told_by_kafka(client: Mapping[str, Any]) -> AsyncIterator[tuple[list[Row], int | None]]:
    """Rows, and the time (ns) by this machine's clock; every book at each step, for one goes stale by being silent."""
    tops: dict[tuple[str, str], TopOfBook] = {}
    decode = msgspec.json.Decoder(TopOfBook).decode
    async with KafkaReader(client) as reader:
        partitions = await reader.partitions([TOP_OF_BOOK])
        ends = await reader.ends(partitions)
        starts = await reader.at_time(partitions, time.time_ns() // 1_000_000 - LOOKBACK_MS)
        behind = {tp for tp in partitions if starts[tp] < ends[tp]}
        async for records in reader.follow(starts):
            for record in records:
                top = decode(record.value or b"")
                known = tops.get((top.exchange, top.symbol))
                if known is None or _version(top) >= _version(known):
                    tops[top.exchange, top.symbol] = top
                behind -= {tp for tp in behind if tp[:2] == record[:2] and record.offset + 1 >= ends[tp]}
            if not behind:
                now = time.time_ns()
                yield [_row(top, now) for top in tops.values()], now


def _version(top: TopOfBook) -> tuple[int, int, int]:
    return top.epoch, top.sequence, top.event_time


def _row(top: TopOfBook, now: int) -> Row:
    state, reason = of_list(top.state, top.reason, top.event_time, now, 0.0)
    return {**msgspec.structs.asdict(top), "state": state, "reason": reason}
