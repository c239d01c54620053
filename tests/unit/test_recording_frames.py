"""An exchange's frames, recorded off the wire and played again: the books that the exchange had."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from feed_server import Records, until

from tradeflow.feeds.recorded import RecordedSource, Recording
from tradeflow.feeds.registry import make_source
from tradeflow.recording.command import record_command
from tradeflow.recording.frame_files import FrameFiles
from tradeflow.recording.frames import record_frames
from tradeflow.settings import Settings, load_settings
from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.recorded import RecordedExchange, recorded_names
from tradeflow.simulator.server import Simulator
from tradeflow.times import parse_time

EXCHANGES = {
    "binance": ["BTC-USDT", "ETH-USDT"],
    "bitmex": ["BTC-USD-PERP", "ETH-USD-PERP"],
    "coinbase": ["BTC-USD", "ETH-USDT"],
    "kraken": ["BTC-USD", "ETH-USDT"],
}


def pointed_at(endpoints: dict[str, str]) -> Settings:
    return load_settings(**{name.removeprefix("TRADEFLOW_").lower(): url for name, url in endpoints.items()})


async def recorded(exchange: str, file: Path, frames: int) -> Simulator:
    """The simulator, no longer served, after so many of its frames went into the file."""
    async with Simulator(Market(listed([exchange], []), rate=400, depth=20)) as simulator:
        counts = simulator.venues[exchange].counts
        written, settled = await record_frames(
            pointed_at(simulator.endpoints),
            file,
            exchange,
            EXCHANGES[exchange],
            lambda: counts["frames"] < frames,
        )
    assert written >= frames - 50
    assert settled
    return simulator


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_recorded_frames_played_again_are_the_exchanges_books(exchange, tmp_path):
    file = tmp_path / "frames.rec"
    simulator = await recorded(exchange, file, 400)
    (name,) = recorded_names(file)
    recording = Recording(file, name)
    assert recording.symbols == EXCHANGES[exchange]
    parsed = Records()
    live = make_source(exchange, recording.symbols, Settings())
    await RecordedSource(live, recording, recorded_times=True).run(parsed)
    assert set(parsed.books) == set(EXCHANGES[exchange])
    for symbol, books in parsed.books.items():
        last = [fields for kind, name, fields in parsed.events if (kind, name) == ("book", symbol)][-1]
        time, sequence = last["exchange_time"], last["exchange_sequence"]
        at = {"time": parse_time(time)} if isinstance(time, str) else {"sequence": sequence}
        true = simulator.truth(exchange, symbol, **at)
        for side, book in zip(("bids", "asks"), books, strict=True):
            assert sorted(numbers(book.items())) == sorted(numbers(true[side]))

    over_the_wire = Records()
    async with RecordedExchange(file, name) as played:
        source = make_source(exchange, recording.symbols, pointed_at(played.endpoints))
        run = asyncio.create_task(source.run(over_the_wire))
        try:
            await until(lambda: len(over_the_wire.of("book")) >= len(parsed.of("book")))
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
    assert over_the_wire.books == parsed.books


def numbers(levels: Any) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


async def test_lines_are_those_of_cryptofeed(tmp_path):
    """So its files and ours are read by the same code."""
    from cryptofeed.raw_data_collection import AsyncFileCallback

    from tradeflow.recording import Header, RecordingWriter
    from tradeflow.recording.frames import FrameRecorder

    (tmp_path / "theirs").mkdir()
    theirs = AsyncFileCallback(str(tmp_path / "theirs"))
    header = Header(tradeflow="0", holds="frames", created=0, exchange="toy")
    with (tmp_path / "ours").open("wb") as file, RecordingWriter(file, header) as writer:
        ours = FrameRecorder(writer)
        for recorder in (theirs, ours):
            await recorder("a\nb", 1.5, "TOY.http.0", endpoint="https://toy/x")
            await recorder("[1]", 2.5, "TOY.http.0", endpoint="https://toy/x", header={"A": "b"})
            await recorder(None, 3.0, "TOY.ws.1", connect="wss://toy/ws")
            await recorder('{"s":1}', 3.25, "TOY.ws.1", send="wss://toy/ws")
            await recorder('{"n":1}', 4.0, "TOY.ws.1")
    theirs.stop()
    ours_read, theirs_read = FrameFiles(tmp_path / "ours"), FrameFiles(tmp_path / "theirs")
    assert ours_read.names("*") == theirs_read.names("*") == ["TOY.http.0.0", "TOY.ws.1.0"]
    for name in ours_read.names("*"):
        assert list(ours_read.lines(name)) == list(theirs_read.lines(name))


def test_an_exchange_that_nobody_can_serve_is_told(tmp_path):
    result = CliRunner().invoke(record_command, [str(tmp_path / "x.rec"), "--exchange", "nowhere"])
    assert result.exit_code == 2
    assert "nowhere" in result.output
    assert not (tmp_path / "x.rec").exists()


def test_a_recording_is_never_written_over(tmp_path):
    (tmp_path / "x.rec").write_text("precious")
    result = CliRunner().invoke(record_command, [str(tmp_path / "x.rec"), "--exchange", "binance"])
    assert result.exit_code == 1
    assert "exists" in result.output
    assert (tmp_path / "x.rec").read_text() == "precious"
