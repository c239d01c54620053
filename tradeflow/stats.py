"""What this process has done, for `/stats` and the demo's summary: counts and raw → order latency."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import msgspec

from tradeflow.outbox import Sent

KEPT = 100_000
"""Latencies kept, newest last."""


class _OrderTime(msgspec.Struct):
    event_time: int


class Stats:
    def __init__(self) -> None:
        self.started = time.time()
        self._latencies: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._decode = msgspec.json.Decoder(_OrderTime).decode

    def order_sent(self, order: bytes, sent: asyncio.Future[Sent]) -> None:
        """Note how long an order took from its cause's arrival at our socket to the broker's acknowledgement."""
        caused = self._decode(order).event_time

        def acknowledged(_: asyncio.Future[Sent]) -> None:
            now = time.time_ns()
            self._latencies.append((now, now - caused))

        sent.add_done_callback(acknowledged)

    def latency_ms(self, seconds: float | None = None) -> dict[str, Any]:
        """count, p50 and p99 of raw → order, in milliseconds, of the last `seconds`; None where there is none."""
        since = 0 if seconds is None else time.time_ns() - round(seconds * 1e9)
        known = sorted(latency for sent, latency in self._latencies if sent >= since)
        if not known:
            return {"count": 0, "p50": None, "p99": None}
        return {
            "count": len(known),
            "p50": round(known[len(known) // 2] / 1e6, 3),
            "p99": round(known[min(len(known) - 1, len(known) * 99 // 100)] / 1e6, 3),
        }


stats = Stats()
