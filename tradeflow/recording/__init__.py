"""Recordings: ranges of topics, or frames of an exchange, in one self-describing, compressed file."""

from tradeflow.recording.form import Ending, Header, Record, RecordingError, StrategyHeader
from tradeflow.recording.reader import RecordingReader
from tradeflow.recording.writer import RecordingWriter

__all__ = [
    "Ending",
    "Header",
    "Record",
    "RecordingError",
    "RecordingReader",
    "RecordingWriter",
    "StrategyHeader",
]
