"""`Child`: its output, why it ended, and its end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tradeflow.demo.child import Child, ChildFailed

SLEEPS = ["timeit", "-n1", "-r1", "-s", "print('awake', flush=True)", "import time; time.sleep(60)"]


def test_what_an_earlier_process_said_is_not_its_own(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("Traceback of last week\n[ERROR] of last week\n")
    child = Child("the worker", ["no_such_module"], log, {})
    assert child.wait() == 1
    assert "No module named no_such_module" in child.log()
    assert "last week" not in child.log()
    with pytest.raises(ChildFailed) as caught:
        child.check()
    assert str(caught.value).startswith("the worker ended with status 1:\n")
    assert "No module named no_such_module" in str(caught.value)
    assert "last week" not in str(caught.value)
    assert "last week" in log.read_text()


def test_one_that_does_not_get_ready_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = Child("the worker", SLEEPS, tmp_path / "worker.log", {})
    try:
        child.wait_for("awake", 20)
        with pytest.raises(ChildFailed, match="the worker is not ready after 0 s:\nawake"):
            child.wait_for("never", 0.1)
    finally:
        started = time.monotonic()
        child.stop()
    assert time.monotonic() - started < 10
    assert not child.running


def test_stopping_one_that_has_just_ended_is_no_error(tmp_path: Path) -> None:
    child = Child("the worker", ["platform"], tmp_path / "worker.log", {})
    assert child.wait() == 0
    child.stop()
    child.stop()
