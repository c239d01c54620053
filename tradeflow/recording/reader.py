"""`RecordingReader`: a recording as a stream, block by block, in memory that doesn't grow with the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from tradeflow.recording.form import (
    FORMAT,
    HEAD_SIZE,
    MAGIC,
    Ending,
    Header,
    Record,
    RecordingError,
    decode_records,
    unpack_head,
)


class RecordingReader:
    """Reads a binary file object once, from where it stands.  `header` is known at once.

    Raises RecordingError for what is no recording, or one of a newer format, and while reading for a block whose
    checksum is wrong.  A file that was cut off is read up to its last whole block; `cut_off` then says so."""

    def __init__(self, file: BinaryIO, name: str = "the file") -> None:
        self._file = file
        self._name = name
        self.records = 0
        """Read so far."""
        self.ending: Ending | None = None
        """Known at the end of a whole file."""
        self.cut_off = ""
        """Why there is no Ending."""
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(
                f"{name} is no recording: those of `tradeflow record` begin with {MAGIC.decode()}"
            )
        self._at = len(MAGIC)
        block = self._block()
        if block is None or block[0] != b"H":
            raise RecordingError(f"{name} has no header")
        self.header = self._header(block[1])

    def __iter__(self) -> Iterator[Record]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[list[Record]]:
        """The records, a block at a time, in the order in which they were recorded."""
        while block := self._block():
            kind, payload = block
            if kind == b"E":
                self.ending = msgspec.json.decode(payload, type=Ending)
                return
            records = decode_records(payload)
            self.records += len(records)
            yield records

    def _block(self) -> tuple[bytes, bytes] | None:
        """Kind and payload of the next block; None where the file was cut off."""
        head = self._file.read(HEAD_SIZE)
        if len(head) < HEAD_SIZE:
            self._note_early_end()
            return None
        try:
            kind, length, crc = unpack_head(head)
        except RecordingError as error:
            raise RecordingError(f"{self._name} is damaged at byte {self._at}: {error}") from None
        payload = self._file.read(length)
        if len(payload) < length:
            self._note_early_end()
            return None
        if zlib.crc32(payload) != crc:
            raise RecordingError(
                f"{self._name} is damaged: the block of {length} bytes at byte {self._at} has another checksum"
            )
        self._at += HEAD_SIZE + length
        return kind, payload

    def _note_early_end(self) -> None:
        self.cut_off = (
            f"{self._name} was cut off at byte {self._at}: the {self.records} records before that are whole, "
            "what followed is lost"
        )

    def _header(self, payload: bytes) -> Header:
        try:
            version = msgspec.json.decode(payload, type=_Version).format
            if version > FORMAT:
                raise RecordingError(
                    f"{self._name} has format {version}, this tradeflow reads up to {FORMAT}: use a newer one"
                )
            return msgspec.json.decode(payload, type=Header)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"{self._name} has an unusable header: {error}") from None


class _Version(msgspec.Struct):
    format: int
