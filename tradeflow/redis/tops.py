"""The top of a book as Redis holds it: a hash for each, which no older state replaces, and which expires."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tables.order_books import OrderBook

_encode = msgspec.json.Encoder().encode

FIELDS = (
    "version", "exchange", "symbol", "state", "reason", "bid", "bid_size", "ask", "ask_size", "mid", "spread",
    "spread_pct", "epoch", "sequence", "exchange_sequence", "exchange_time", "receipt_time", "heard", "event_time",
    "last_verified", "written", "partition", "worker",
)  # fmt: skip

WRITE = """
local lifetime = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expiry = math.min(tonumber(ARGV[2]), now) + lifetime
if expiry <= now then return {0, 0, #KEYS} end
local older = 0
for i, key in ipairs(KEYS) do
  local pairs_of_it = cjson.decode(ARGV[2 + i])
  local known = redis.call('HGET', key, 'version')
  if known and known > pairs_of_it[2] then
    older = older + 1
  else
    redis.call('HSET', key, unpack(pairs_of_it))
    redis.call('PEXPIREAT', key, expiry)
  end
end
return {#KEYS - older, older, 0}
"""
"""KEYS: hashes.  ARGV: their lifetime and when this was written, in ms; then for each hash what `encoded` gives.

Returns how many were written, were older than what is there, came too late.  A write's lifetime counts from when it
was made: what has waited in a frozen Redis must not bring an old book back."""


def key_of(prefix: str, exchange: str, symbol: str) -> str:
    return f"{prefix}:top:{exchange}:{symbol}"


def version_of(epoch: int, sequence: int, event_time: int) -> str:
    """Text that sorts as the three do (the first two may be -1): Lua's numbers would round the time."""
    return f"{epoch + 1:020d}-{sequence + 1:020d}-{event_time:020d}"


def fields_of(
    book: OrderBook, state: str, reason: str, event_time: int, written: int, partition: int, worker: str
) -> Mapping[str, str]:
    """A book's hash, all of FIELDS; empty text where there is nothing to say.

    `state` and `reason` as of this worker's clock (freshness.of_book); times in ns."""
    bid, ask = book.book.bids.best, book.book.asks.best
    middle = None if book.book.crossed else book.book.mid_and_spread()
    values = (
        version_of(book.epoch, book.sequence, event_time), book.exchange, book.symbol, state, reason,
        *(bid or ("", "")), *(ask or ("", "")), *(middle or ("", "", "")), book.epoch, book.sequence,
        book.exchange_sequence, book.exchange_time, book.receipt_time or None, book.heard or None, event_time,
        book.last_verified, written, partition, worker,
    )  # fmt: skip
    return {name: "" if value is None else str(value) for name, value in zip(FIELDS, values, strict=True)}


def encoded(fields: Mapping[str, str]) -> bytes:
    """Fields and values in turn, `version` first, as one JSON array of texts: packing each would cost far more."""
    return _encode([text for pair in fields.items() for text in pair])
