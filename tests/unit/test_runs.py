"""Runs: decoded at once, and a bad record costs nobody but itself."""

from __future__ import annotations

import re
import struct
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from tradeflow.messages import Raw, RawBook, RawDown, RawTrade
from tradeflow.worker.runs import MAX_RUN, Run, RunSchema, RunTopics

PLACE = {"exchange": "binance", "symbol": "BTC-USDT", "epoch": 7, "sequence": 3, "receipt_time": 1}
GOOD = [
    RawBook(**PLACE, snapshot=False, bids=[("1.50", "2")], asks=[], exchange_time=1.5),
    RawTrade(**PLACE, side="buy", price="100", size="1"),
    RawDown(**PLACE, reason=""),
]


def decoded(*values: bytes | None) -> Run:
    records = [SimpleNamespace(offset=offset, value=value) for offset, value in enumerate(values)]
    message = SimpleNamespace(
        topic="binance-orderbook", partition=2, offset=records[-1].offset, value=records
    )
    return RunSchema(Raw).loads_value(None, message)


def test_a_run_is_decoded_as_a_whole():
    run = decoded(*map(msgspec.json.encode, GOOD))
    assert run.messages == GOOD
    assert [record.offset for record in run.records] == [0, 1, 2]
    assert (run.topic, run.partition, run.last_offset, run.unusable) == ("binance-orderbook", 2, 2, [])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "Input data was truncated"),
        (b"", "Input data was truncated"),
        (b"{", "Input data was truncated"),
        (b"\xff", "invalid character"),
        (b"[]", "Expected `object`"),
        (b"%b,%b" % (msgspec.json.encode(GOOD[1]), msgspec.json.encode(GOOD[2])), "trailing characters"),
        (b'{"type":"candle"}', "Invalid value 'candle'"),
        (b'{"type":"candle","v":2}', "schema version 2, this worker reads 1: a newer one wrote it. Upgrade"),
        (msgspec.json.encode(GOOD[2]).replace(b'"v":1', b'"v":3'), "schema version 3, this worker reads 1"),
        (
            b'{"type":"down","exchange":"x","symbol":"y","epoch":1,"sequence":1,"receipt_time":1}',
            "missing.*reason",
        ),
        (
            b'{"type":"book","exchange":"x","symbol":"y","epoch":1,"sequence":1,"receipt_time":1,'
            b'"snapshot":true,"bids":[[1.5,"2"]],"asks":[]}',
            r"Expected `str`, got `float`.*bids",
        ),
    ],
)
def test_bytes_that_are_no_raw_record(value, reason):
    run = decoded(msgspec.json.encode(GOOD[0]), value, msgspec.json.encode(GOOD[1]))
    assert run.messages == GOOD[:2]
    assert [record.offset for record in run.records] == [0, 2]
    ((record, why),) = run.unusable
    assert record.offset == 1
    assert re.search(reason, why)
    assert run.last_offset == 2


TP = TopicPartition("market-events", 1)
IN_RUNS = RunTopics({TP.topic})


def batch(first: int, count: int) -> bytes:
    """As the broker sends it: `count` records from offset `first`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    for number in range(count):
        builder.append(number, 1_000 + number, b"key", b"%d" % (first + number), [])
    made = builder.build()
    struct.pack_into(">q", made, 0, first)  # the base offset, which the checksum leaves out
    return bytes(made)


def fetched(data: bytes, offset: int = 0, topics: RunTopics | None = IN_RUNS) -> Any:
    return fetcher.PartitionRecords(TP, MemoryRecords(data), None, offset, topics, None, True, 0)


def test_what_was_fetched_comes_in_runs():
    """However it was sent: a batch of many is divided, batches of few are put together."""
    found = fetched(batch(0, 3 * MAX_RUN) + b"".join(batch(3 * MAX_RUN + n, 1) for n in range(7)))
    runs = list(found)
    assert [len(run) for run in runs] == [MAX_RUN, MAX_RUN, MAX_RUN, 7]
    records = [record for run in runs for record in run]
    assert [record.offset for record in records] == list(range(3 * MAX_RUN + 7))
    assert [int(record.value) for record in records] == list(range(3 * MAX_RUN + 7))
    assert {record.key for record in records} == {b"key"}


def test_the_position_follows_the_runs_that_were_taken():
    found = fetched(batch(0, MAX_RUN + 1) + batch(MAX_RUN + 1, MAX_RUN))
    positions = [found.next_fetch_offset for _ in found]
    assert positions == [MAX_RUN, 2 * MAX_RUN, 2 * MAX_RUN + 1]


def test_a_batch_may_begin_before_what_was_asked_for():
    (run,) = fetched(batch(10, 20) + batch(30, 2), offset=25)
    assert [record.offset for record in run] == [25, 26, 27, 28, 29, 30, 31]


def test_the_last_records_of_a_batch_may_be_gone():
    """Compaction leaves the batch's own last offset: reading goes on behind it."""
    data = bytearray(batch(0, 3))
    struct.pack_into(">i", data, 23, 9)  # last offset delta
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    found = fetched(bytes(data))
    assert [record.offset for record in next(found)] == [0, 1, 2]
    assert list(found) == []
    assert found.next_fetch_offset == 10


def test_a_damaged_batch_is_refused():
    data = bytearray(batch(0, 3))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        list(fetched(bytes(data)))


def test_other_topics_and_consumers_get_single_records():
    for topics in (None, RunTopics({"another"})):
        first = next(fetched(batch(5, 2), topics=topics))
        assert (first.topic, first.partition, first.offset, first.value) == (TP.topic, TP.partition, 5, b"5")
