"""Lines of an exchange's recorded frames, by file: a directory that cryptofeed's AsyncFileCallback wrote, or one
recording of `tradeflow record --exchange`, which holds the same lines under the same names.

Of an exchange NAME: `NAME.0` and `NAME.http.*` with REST answers, `NAME.ws.*` with one connection each:

    configuration: {"l2_book": […], "trades": […]}      in NAME.0: the symbols
    URL -> time: body [header: {…}]                     a REST answer
    URL <-> time                                        the connection was made
    URL <- time: message                                sent to the exchange
    time: frame                                         received from it
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from tradeflow.recording.form import RecordingError
from tradeflow.recording.reader import RecordingReader


class FrameFiles:
    """`place`: a directory or a recording.  Raises FileNotFoundError, RecordingError."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.exchange = ""
        """As tradeflow names it; empty where the place doesn't say."""
        if place.is_dir():
            self._names = sorted(path.name for path in place.iterdir())
            return
        with place.open("rb") as data:
            reader = RecordingReader(data, str(place))
            if reader.header.holds != "frames":
                raise RecordingError(f"{place} holds {reader.header.holds}, not frames of an exchange")
            self.exchange = reader.header.exchange
            self._names = sorted({record.topic for record in reader})

    def names(self, pattern: str) -> list[str]:
        """Of the files that match, e.g. `BINANCE.ws.*`."""
        return [name for name in self._names if fnmatchcase(name, pattern)]

    def lines(self, name: str) -> Iterator[str]:
        """Of one file, without line ends; none if there is no such file."""
        if name not in self._names:
            return
        if self.place.is_dir():
            with (self.place / name).open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    yield line.rstrip("\n")
            return
        with self.place.open("rb") as data:
            for record in RecordingReader(data, str(self.place)):
                if record.topic == name:
                    yield (record.value or b"").decode()


def configuration(symbols: list[str]) -> str:
    return f"configuration: {msgspec.json.encode({'l2_book': symbols, 'trades': symbols}).decode()}"


def connected(url: str, time: float) -> str:
    return f"{url} <-> {time}"


def sent(url: str, time: float, message: Any) -> str:
    return f"{url} <- {time}: {_text(message)}"


def received(time: float, frame: Any) -> str:
    return f"{time}: {_text(frame)}"


def answered(url: str, time: float, body: str, header: dict[str, Any] | None) -> str:
    line = f"{url} -> {time}: {_text(body)}"
    return f"{line} header: {msgspec.json.encode(header).decode()}" if header else line


def _text(data: Any) -> str:
    """On one line, for line ends mean nothing in JSON."""
    text = data.decode() if isinstance(data, bytes) else str(data)
    return text.replace("\n", "").replace("\r", "")
