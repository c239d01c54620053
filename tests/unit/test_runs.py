"""Runs: decoded at once, and a bad record costs nobody but itself."""

from __future__ import annotations

import re
from types import SimpleNamespace

import msgspec
import pytest

from tradeflow.messages import Raw, RawBook, RawDown, RawTrade
from tradeflow.runs import Run, RunSchema

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
