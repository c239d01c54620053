"""`Stack` and its commands where something is in the way: words that help, and logs that stay."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from tradeflow.demo import command
from tradeflow.demo.child import ChildFailed
from tradeflow.demo.display import Summary
from tradeflow.demo.stack import Stack
from tradeflow.kafka import DataDirUnusable
from tradeflow.ports import PortTakenError
from tradeflow.settings import load_settings


def test_a_data_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirUnusable, match=r"Can't use .+/file/data: .+--data-dir"):
        Stack(load_settings(), simulate=False, data_dir=tmp_path / "file" / "data")


def test_a_port_that_was_asked_for_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / ".env").write_text(f"TRADEFLOW_WEB_PORT={port}\n")
        stack = Stack(load_settings(), simulate=True, data_dir=tmp_path)
        with pytest.raises(PortTakenError, match=f"port {port} is taken by"):
            stack._web_port()


def test_the_logs_of_a_start_that_failed_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(stack: Stack) -> None:
        (stack.data_dir / "worker-1.log").write_text("what went wrong")
        raise ChildFailed("the worker ended: dict[str, int] [/tmp]")

    monkeypatch.setattr(Stack, "start", start)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = CliRunner().invoke(command.demo_command, [])
    assert done.exit_code == 1
    assert "Error: the worker ended: dict[str, int] [/tmp]" in done.output
    (kept,) = tmp_path.iterdir()  # and nothing else
    assert f"Logs are kept in {kept}" in done.output
    assert (kept / "worker-1.log").read_text() == "what went wrong"


def test_a_worker_that_does_not_answer_at_the_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(load_settings(), simulate=True, data_dir=tmp_path)
    stack.web_url = "http://127.0.0.1:1"
    with pytest.raises(ChildFailed, match=r"lives, and doesn't answer at http://.+:1: "):
        command._summary(stack, 1)


def test_a_summary_for_programs_has_what_that_for_people_has() -> None:
    stats = {
        "markets": {"0": {"deltas": {"kraken": 7}, "halted": []}},
        "latency_ms": {"count": 1, "p50": 2.0, "p99": 3.0},
        "orders": {"imbalance": 1},
        "executions": {"FILLED": 1},
        "dead_letters": 2,
        "conflicting_orders": 0,
    }
    book = {"exchange": "kraken", "symbol": "BTC-USD", "state": "stale", "reason": "silent"}
    said = json.loads(json.dumps(Summary([book], stats, [{"reconnects": 3}], [], []).as_dict()))
    assert said["books"] == {"stale": 1} and said["deltas"] == {"kraken": 7} and said["reconnects"] == 3
    assert said["errors"] == ["kraken/BTC-USD is stale: silent", "2 dead letters"]
