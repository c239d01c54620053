"""The file of a recording: what goes in comes out, in flat memory, and damage is told."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow.recording import Header, Record, RecordingError, RecordingReader, RecordingWriter
from tradeflow.recording.form import HEAD_SIZE, MAGIC, pack
from tradeflow.recording.writer import BLOCK_BYTES

HEADER = Header(
    tradeflow="0.1.0",
    holds="topics",
    created=5,
    first={"market-events": {0: 0, 3: 17}},
    books=[("binance", "BTC-USDT")],
    symbols={"BTC-USDT": 3},
    settings={"silence_timeout": 5.0},
)

texts = st.none() | st.binary(max_size=200)
records = st.lists(
    st.builds(
        Record,
        st.sampled_from(["market-events", "orders", "ü"]),
        st.integers(0, 2**32 - 1),
        st.integers(-1, 2**63 - 1),
        st.integers(-1, 2**63 - 1),
        texts,
        texts,
    )
)


def written(some: list[Record]) -> bytes:
    file = io.BytesIO()
    with RecordingWriter(file, HEADER) as writer:
        for record in some:
            writer.write(record)
    return file.getvalue()


def many(count: int = 100) -> list[Record]:
    """Several blocks' worth."""
    return [
        Record("market-events", 0, n, n, b"BTC-USDT", bytes([n]) * (BLOCK_BYTES // 20)) for n in range(count)
    ]


@given(records)
def test_what_is_written_is_read(some):
    reader = RecordingReader(io.BytesIO(written(some)))
    assert reader.header == HEADER
    assert list(reader) == some
    assert not reader.cut_off
    assert reader.ending and reader.ending.records == len(some)


def test_the_header_can_be_read_by_eye():
    assert b'"books":[["binance","BTC-USDT"]]' in written([])[:400]


def test_a_block_at_a_time():
    reader = RecordingReader(io.BytesIO(written(many())))
    sizes = [sum(len(record.value) for record in block) for block in reader.blocks()]
    assert len(sizes) > 3
    assert max(sizes) < 2 * BLOCK_BYTES
    assert reader.ending and reader.ending.last == {"market-events": {0: 99}}


def test_a_file_that_was_cut_off_is_read_to_its_last_whole_block():
    whole = written(many())
    reader = RecordingReader(file := io.BytesIO(whole))
    ends = [(file.tell(), block[-1].offset + 1) for block in reader.blocks()]
    for end, count in ends:
        for cut in (end, end + 3, end + HEAD_SIZE + 1):
            reader = RecordingReader(io.BytesIO(whole[:cut]), "some.rec")
            assert [record.offset for record in reader] == list(range(count))
            assert re.match(f"some.rec was cut off at byte {end}: the {count} records before", reader.cut_off)
            assert reader.ending is None


def test_a_recorder_that_fails_leaves_whole_blocks_and_no_ending():
    file = io.BytesIO()
    with pytest.raises(ZeroDivisionError), RecordingWriter(file, HEADER) as writer:
        for record in many(3):
            writer.write(record)
        raise ZeroDivisionError
    reader = RecordingReader(io.BytesIO(file.getvalue()))
    assert len(list(reader)) == 3
    assert reader.cut_off


def test_a_changed_byte_is_told():
    whole = bytearray(written(many(5)))
    whole[-100] ^= 1
    with pytest.raises(RecordingError, match=r"is damaged: the block of \d+ bytes at byte \d+"):
        list(RecordingReader(io.BytesIO(bytes(whole))))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no recording"),
        (b"PK\x03\x04 something else", "is no recording"),
        (MAGIC, "has no header"),
        (MAGIC + pack(b"E", b"{}"), "has no header"),
        (MAGIC + pack(b"H", b'{"format":2}'), "format 2, this tradeflow reads up to 1"),
        (MAGIC + pack(b"H", b"{}"), "unusable header"),
        (MAGIC + b"x" * 20, "is damaged at byte 8"),
    ],
)
def test_what_is_no_recording_is_refused(data, says):
    with pytest.raises(RecordingError, match=says):
        RecordingReader(io.BytesIO(data))


def test_a_block_that_would_fill_the_memory_is_refused():
    from backports import zstd

    bomb = zstd.compress(bytes(200 * 1024 * 1024), 3)
    whole = written([])
    head = whole[: -(HEAD_SIZE + len(b'{"records":0,"last":{},"settled":true}'))]
    with pytest.raises(RecordingError, match="more than"):
        list(RecordingReader(io.BytesIO(head + pack(b"R", bomb))))
