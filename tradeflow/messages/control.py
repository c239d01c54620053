"""What workers, feeds and operators tell each other, and what could not be used."""

from __future__ import annotations

from typing import Literal

import msgspec

from tradeflow.messages.record import SCHEMA_VERSION, Event, Record


class Steer(Event, frozen=True, kw_only=True, tag="steer"):
    """An operator's word in topic `control`, copied from there into each partition of the log."""

    offset: int = -1
    """In topic `control`, told by the copies; one at or below the last changes nothing."""
    action: Literal["halt", "reduce-only", "resume", "parameters"]
    strategy: str = ""
    """Empty: all."""
    symbol: str = ""
    """Empty: all."""
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    """Of `action: parameters`: name → value as in strategies.toml."""
    by: str
    reason: str = ""


class Terms(Record, frozen=True, kw_only=True, tag="terms"):
    """Value of `control`, key = scope: what a worker takes for agreed when it starts."""

    v: int = SCHEMA_VERSION  # type: ignore[assignment]
    """Any: this is how workers of two versions learn of each other."""
    scope: str
    """`maps`, `records`, or a consumer group's id."""
    terms: dict[str, str]
    worker: str
    time: int


class FeedClaim(Record, frozen=True, kw_only=True):
    """Value of `feed-claims`; the offset of this record is the epoch that it claims."""

    feed: int
    exchange: str
    symbols: list[str]
    worker: str
    time: int


class ResyncRequest(Record, frozen=True, kw_only=True, tag="resync"):
    """To a feed, through its partition of `feed-assignments`."""

    feed: int
    exchange: str
    symbol: str
    epoch: int
    sequence: int = -1
    """Of the last record that is in the book that asks."""
    reason: str
    time: int


class DeadLetter(Record, frozen=True, kw_only=True):
    """A record that could not be used, value of topic `dead-letters`."""

    topic: str
    partition: int
    offset: int
    reason: str
    key: str | None
    original: str
    """The record's bytes, base64."""
    time: int
