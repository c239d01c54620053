"""`RecordingWriter`: records into a binary file, in blocks."""

from __future__ import annotations

import struct
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from tradeflow.recording.form import MAGIC, Ending, Header, Record, RecordingError, encode_records, pack

BLOCK_BYTES = 1024 * 1024
"""Before compression; what a crash of the recorder loses at most, and what a reader holds."""


class RecordingWriter:
    """Writes to a binary file object, which stays the caller's to close.

    As a context manager it ends the recording properly; left by an exception, the file has no Ending."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._records: list[Record] = []
        self._bytes = 0
        self.written = 0
        """Records so far."""
        self.settled = True
        """See Ending."""
        self.last: dict[str, dict[int, int]] = {}
        """Topic → partition → offset of the last record."""
        file.write(MAGIC + pack(b"H", msgspec.json.encode(header)))

    def write(self, record: Record) -> None:
        """Append one record.  Raises OSError, and RecordingError for what no recording can hold."""
        self._records.append(record)
        self._bytes += 64 + len(record.key or b"") + len(record.value or b"")
        self.written += 1
        self.last.setdefault(record.topic, {})[record.partition] = record.offset
        if self._bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Everything so far becomes whole blocks in the file."""
        if not self._records:
            return
        try:
            payload = encode_records(self._records)
        except struct.error as error:
            raise RecordingError(f"a record that no recording can hold: {error}") from None
        self._records, self._bytes = [], 0
        self._file.write(pack(b"R", payload))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        if kind is None:
            ending = Ending(records=self.written, last=self.last, settled=self.settled)
            self._file.write(pack(b"E", msgspec.json.encode(ending)))
            self._file.flush()
