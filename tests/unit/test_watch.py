"""What `watch` is told and shows; with a real worker in tests/integration/test_command_line.py."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator

import click
import pytest
from rich.console import Console

from tradeflow.commands import tops
from tradeflow.commands.chosen import Chosen
from tradeflow.commands.tops import Tops
from tradeflow.commands.watch import _once, _screen
from tradeflow.web.client import events

SECOND = 1_000_000_000


def row(exchange: str, state: str = "live", reason: str = "", event_time: int = 100 * SECOND) -> tops.Row:
    return {
        "exchange": exchange,
        "symbol": "BTC-USDT",
        "state": state,
        "reason": reason,
        "bid": ["100", "1"],
        "ask": ["101", "2"],
        "mid": "100.5",
        "spread": "1",
        "spread_pct": "0.995025",
        "event_time": event_time,
    }


def test_a_book_is_named_by_symbol_exchange_or_both() -> None:
    places = [("binance", "BTC-USDT"), ("kraken", "BTC-USDT"), ("kraken", "ETH-USDT")]

    def chosen(*names: str) -> list[int]:
        wanted = Chosen(names)
        return [n for n, place in enumerate(places) if wanted(*place)]

    assert chosen() == [0, 1, 2]
    assert chosen("btcusdt") == chosen("BTC-USDT") == [0, 1]
    assert chosen("Kraken") == [1, 2]
    assert chosen("kraken/eth-usdt", "binance") == [0, 2]
    with pytest.raises(click.UsageError, match="'btc usdt' names no book"):
        chosen("btc usdt")


def test_ages_are_by_the_workers_clock_and_only_what_is_wanted_is_kept() -> None:
    held = Tops(Chosen(["kraken"]))
    held.heard([row("kraken"), row("binance")])
    held.heard([], 103 * SECOND)
    (shown,) = held.rows()
    assert shown["exchange"] == "kraken" and 3000 <= shown["age_ms"] < 4000


def test_nothing_is_live_once_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Tops(Chosen([]))
    held.heard([row("kraken"), row("binance", "broken", "crossed")], 100 * SECOND)
    assert [one["state"] for one in held.rows()] == ["broken", "live"]
    monkeypatch.setattr(tops, "PATIENCE", 0.02)
    time.sleep(0.05)
    broken, stale = held.rows()
    assert (broken["state"], broken["reason"]) == ("broken", "crossed")
    assert (stale["state"], stale["reason"]) == ("stale", "no word of the worker for 0 s")
    held.heard([])
    assert held.rows()[1]["state"] == "live"


def shown(rows: list[tops.Row], color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=140, force_terminal=color, color_system="standard" if color else None
    )
    console.print(_screen(rows))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_is_not_live_can_not_be_missed() -> None:
    rows = [row("binance"), row("kraken", "stale", "silent for 6.0 s")]
    text = shown(rows)
    assert text.splitlines()[0].split() == ["1", "of", "2", "books", "live", "1", "STALE"]
    assert "STALE" in text.splitlines()[-1] and text.splitlines()[-1].rstrip().endswith("silent for 6.0 s")
    line = shown(rows, color=True).splitlines()[-1]
    assert "\x1b[1;7;31mSTALE" in line, "bold, on red ground"
    assert "\x1b[2m" in line, "its prices are dim"
    assert "why" not in shown(rows[:1])


# --- server-sent events ---


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Sends two events, and then nothing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            b'event: books\ndata: [{"exchange":"kraken"}]\n\nevent: beat\ndata: 1700\n\n'
        )
        done.wait(10)
        connection.close()

    done = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/stream"
    done.set()
    thread.join()
    server.close()


def test_a_stream_that_falls_silent_is_noticed(silent_server: str) -> None:
    stream = events(silent_server, 0.3)
    assert [next(stream), next(stream)] == [("books", [{"exchange": "kraken"}]), ("beat", 1700)]
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        next(stream)
    assert time.monotonic() - began < 2


def test_once_waits_for_the_books_behind_the_first_beat(capsys: pytest.CaptureFixture[str]) -> None:
    told = [([], SECOND), ([row("kraken"), row("binance", "stale", "silent")], None), ([], 101 * SECOND)]
    with pytest.raises(SystemExit) as ended:
        _once(Tops(Chosen(["binance"])), lambda: iter(told), True, Console())
    assert ended.value.code == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["exchange"], json.loads(line)["reason"]) == ("binance", "silent")
    with pytest.raises(click.ClickException, match="no such book"):
        _once(Tops(Chosen(["bitmex"])), lambda: iter(told), True, Console())
