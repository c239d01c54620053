"""`tradeflow demo` where there is no terminal: it says when the books are live, and SIGINT ends it with a summary."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tradeflow.ports import free_port

pytestmark = pytest.mark.integration


def test_it_says_when_books_are_live_and_ends_with_a_summary() -> None:
    command = [sys.executable, "-m", "tradeflow.cli", "demo", "--rate", "40"]
    env = {**os.environ, "TRADEFLOW_WEB_PORT": str(free_port()), "COLUMNS": "80"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as demo:
        assert demo.stdout is not None
        assert any("15 books are live; SIGINT ends it, with a summary" in line for line in demo.stdout)
        demo.send_signal(signal.SIGINT)
        said, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    rows = dict(line.split(maxsplit=1) for line in said.splitlines() if line.startswith(("books", "errors")))
    assert rows["books"].strip() == "15 live"
    assert rows["errors"].strip() == "none"
    assert said.rstrip().endswith("Stopping")
    assert "Traceback" not in errors
