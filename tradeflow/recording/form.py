"""The form of a recording: a header that says what it holds, then records in compressed, checked blocks.

    magic (8 bytes), then blocks:   kind (1 byte)  length (u32)  crc32 (u32)  payload     little endian
    H   the Header, plain JSON: `head -c 2000 FILE` shows it                              once, first
    R   zstd of records                                                                   any number
    E   the Ending, plain JSON: what there was                                            once, last

The payload of R: a u16 count of names, each a u16 length and the bytes; then for each record a u16 index into
those names, partition (u32), offset (i64), Kafka's timestamp in ms (i64), length of the key (i32, -1: none), length of
the value (i32, -1: none), key, value.  A file without its Ending was cut off: all blocks before that are good.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Literal, NamedTuple

import msgspec
from backports import zstd

FORMAT = 1
MAGIC = b"TFLOWREC"
MAX_PAYLOAD = 64 * 1024 * 1024
"""Bytes of one block, compressed or not: a length beyond is a damaged file, no allocation."""

_HEAD = struct.Struct("<cII")
_RECORD = struct.Struct("<HIqqii")
_U16 = struct.Struct("<H")


class RecordingError(ValueError):
    """A file that is no recording, is damaged, or can't be used for this; the message says which and where."""


class NotRecordable(ValueError):
    """Nobody can record that; the message says what is there."""


class Record(NamedTuple):
    """A Kafka record, or a line of an exchange's frames."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since 1970, as Kafka has it."""
    key: bytes | None
    value: bytes | None

    @property
    def appended(self) -> int:
        """The same moment in nanoseconds."""
        return self.timestamp * 1_000_000


class StrategyHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy that ran while this was recorded."""

    load: str
    """Its class, as STRATEGIES would name it."""
    name: str
    shadow: bool = False
    cancel_on_loss: bool = True
    parameters: dict[str, msgspec.Raw]
    params_hash: str
    code_hash: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording holds, and all that a replay needs to know beside the records."""

    format: int = FORMAT
    tradeflow: str
    """Version that wrote it."""
    holds: Literal["topics", "frames"]
    created: int
    """Nanoseconds since 1970."""
    first: dict[str, dict[int, int]] = {}
    """Topic → partition → first offset that was asked for; 0 is the log's beginning."""
    books: list[tuple[str, str]] = []
    """(exchange, symbol) that were served."""
    symbols: dict[str, int] = {}
    """Map symbols.json: symbol → partition."""
    settings: dict[str, float] = {}
    """Those that books and orders depend on."""
    strategies: list[StrategyHeader] = []
    trading: msgspec.Raw = msgspec.Raw(b"null")
    """Limits, fees, balances and latency: a TradingFiles."""
    exchange: str = ""
    """Of frames."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    records: int
    last: dict[str, dict[int, int]]
    """Topic → partition → offset of its last record."""
    settled: bool = True
    """Orders and executions that follow from the records are all there."""


def pack(kind: bytes, payload: bytes) -> bytes:
    """A block as it is in the file."""
    return _HEAD.pack(kind, len(payload), zlib.crc32(payload)) + payload


def encode_records(records: Iterable[Record]) -> bytes:
    """The payload of an R block."""
    names: dict[str, int] = {}
    parts = []
    for topic, partition, offset, timestamp, key, value in records:
        index = names.setdefault(topic, len(names))
        sizes = (-1 if key is None else len(key), -1 if value is None else len(value))
        parts.append(
            _RECORD.pack(index, partition, offset, timestamp, *sizes) + (key or b"") + (value or b"")
        )
    texts = [name.encode() for name in names]
    table = b"".join([_U16.pack(len(text)) + text for text in texts])
    return zstd.compress(_U16.pack(len(names)) + table + b"".join(parts), 3)


def decode_records(payload: bytes) -> list[Record]:
    """The records of an R block.  Raises RecordingError."""
    try:
        return list(_decoded(_decompressed(payload)))
    except (zstd.ZstdError, struct.error, UnicodeDecodeError, IndexError) as error:
        raise RecordingError(f"a block with a good checksum can't be read: {error}") from None


def _decompressed(payload: bytes) -> bytes:
    decompressor = zstd.ZstdDecompressor()
    data = decompressor.decompress(payload, MAX_PAYLOAD)
    if not decompressor.eof:
        raise RecordingError(f"a block holds more than {MAX_PAYLOAD} bytes")
    return data


def _decoded(data: bytes) -> Iterator[Record]:
    (count,), at = _U16.unpack_from(data), _U16.size
    names = []
    for _ in range(count):
        (size,) = _U16.unpack_from(data, at)
        at += _U16.size
        names.append(data[at : at + size].decode())
        at += size
    unpack, head, end = _RECORD.unpack_from, _RECORD.size, len(data)
    while at < end:
        index, partition, offset, timestamp, key_size, value_size = unpack(data, at)
        at += head
        key = value = None
        if key_size >= 0:
            key = data[at : at + key_size]
            at += key_size
        if value_size >= 0:
            value = data[at : at + value_size]
            at += value_size
        if at > end:
            raise IndexError(f"a record ends at {at} of {end} bytes")
        yield Record(names[index], partition, offset, timestamp, key, value)


def unpack_head(head: bytes) -> tuple[bytes, int, int]:
    """(kind, length, crc32).  Raises RecordingError for what can't be the head of a block."""
    kind, length, crc = _HEAD.unpack(head)
    if kind not in (b"H", b"R", b"E") or length > MAX_PAYLOAD:
        raise RecordingError(f"no block begins with {head!r}")
    return kind, length, crc


HEAD_SIZE = _HEAD.size


def version() -> str:
    """Of tradeflow, as installed."""
    return metadata.version("tradeflow")
