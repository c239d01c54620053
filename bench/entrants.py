"""Who is measured: the command of each, its consumer group, and where its final books can be read."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load import EXCHANGE, partition_of, symbols
from bench.processes import ROOT
from bench.topics import Watch
from tables.order_books import OrderBook
from tradeflow.cluster.reader import KafkaReader
from tradeflow.ports import free_port
from tradeflow.recording.topics import read_checkpoint

Books = dict[str, tuple[dict[str, str], dict[str, str]]]
"""symbol → (bids, asks), price → size."""


@dataclass(frozen=True)
class Entrant:
    """`share`: of the deltas, for those that would take minutes.  `books` reads the final books once the
    process has ended, from the durable state where there is any.  `group`: empty for one that keeps its offsets with
    its state, which Kafka knows nothing of."""

    name: str
    group: str
    durable: bool
    command: Callable[[], list[str]]
    books: Callable[[Watch, Path], Awaitable[Books]]
    versions: Callable[[], dict[str, str]]
    variables: dict[str, str] = field(default_factory=dict)
    share: float = 1.0


def locked_python(name: str) -> str:
    """The Python of the environment that `bench/<name>/requirements.lock` describes, made if need be."""
    lock = ROOT / "bench" / name / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    home = ROOT / ".cache" / "bench-venvs" / f"{name}-{digest}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"Installing {lock.relative_to(ROOT)} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run(install, check=True)
        (home / "complete").touch()
    return str(python)


def locked_versions(name: str, *packages: str) -> dict[str, str]:
    lines = (ROOT / "bench" / name / "requirements.lock").read_text().split()
    pins = dict(line.split("==") for line in lines if "==" in line and "'" not in line)
    return {package: pins[package] for package in packages}


def own_versions(*packages: str) -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in packages}


def write_maps(directory: Path, books: int, exchanges: Sequence[str] = (EXCHANGE,)) -> None:
    """Partition maps of the load's symbols."""
    directory.mkdir(parents=True)
    text = json.dumps({symbol: partition_of(symbol) for symbol in symbols(books)})
    for name in ("symbols", *exchanges):
        (directory / f"{name}.json").write_text(text)


def tradeflow_variables(brokers: str, directory: Path) -> dict[str, str]:
    return {
        "KAFKA_BROKERS": brokers,
        "EXCHANGES": EXCHANGE,
        "STRATEGIES": "",
        "TRADEFLOW_ROLE": "strategies",
        "TRADEFLOW_PARTITION_MAPS": str(directory / "maps"),
        "TRADEFLOW_DATA_DIR": str(directory / "data"),
        "TRADEFLOW_WEB_PORT": str(free_port()),
    }


def worker() -> list[str]:
    return [sys.executable, "-m", "faust", "-A", "tradeflow", "worker", "-l", "warn"]


async def _newest(watch: Watch, topic: str) -> dict[bytes, bytes]:
    """The last value of each key; a tombstone removes it."""
    values: dict[bytes, bytes] = {}
    for record in await watch.read(topic):
        if record.value is None:
            values.pop(record.key, None)
        else:
            values[record.key] = record.value
    return values


async def _stock_books(watch: Watch, _: Path) -> Books:
    books: Books = {}
    for key, value in (await _newest(watch, "stock-levels-changelog")).items():
        symbol, side, price = key.decode().strip('"').split("|")
        books.setdefault(symbol, ({}, {}))[side == "asks"][price] = json.loads(value)
    return books


async def _quix_books(watch: Watch, _: Path) -> Books:
    books: Books = {}
    for key, value in (await _newest(watch, "changelog__quix--market-events--default")).items():
        symbol, page = key.decode().split("|", 1)
        page = json.loads(page)
        if page != "pages":
            books.setdefault(symbol, ({}, {}))[page.startswith("asks")].update(json.loads(value))
    return books


async def _dumped_books(_: Watch, directory: Path) -> Books:
    found: dict[str, Any] = json.loads((directory / "books.json").read_bytes())
    return {symbol: (bids, asks) for symbol, (bids, asks) in found.items()}


async def _bytewax_books(_: Watch, directory: Path) -> Books:
    """Of each symbol the newest snapshot in the recovery store."""
    newest: dict[str, tuple[int, bytes]] = {}
    for file in (directory / "state").glob("*.sqlite3"):
        with sqlite3.connect(file) as store:
            found = store.execute(
                "SELECT state_key, snap_epoch, ser_change FROM snaps WHERE step_id LIKE '%books%'"
            )
            for symbol, epoch, change in found:
                if change is not None and epoch >= newest.get(symbol, (-1, b""))[0]:
                    newest[symbol] = epoch, change
    return {symbol: pickle.loads(change) for symbol, (_, change) in newest.items()}


async def saved_books(watch: Watch) -> list[OrderBook]:
    """Those of tradeflow's last checkpoint, as its own recorder reads them."""
    async with KafkaReader({"bootstrap_servers": watch.brokers}) as reader:
        cuts = await read_checkpoint(reader, TRADEFLOW.group)
    return [
        OrderBook.decode(value)
        for _, state in cuts.values()
        for (table, _), value in state.items()
        if table == "order_books"
    ]


async def _tradeflow_books(watch: Watch, _: Path) -> Books:
    return {one.symbol: (one.book.bids.sizes, one.book.asks.sizes) for one in await saved_books(watch)}


def _program(name: str, python: Callable[[], str]) -> Callable[[], list[str]]:
    return lambda: [python(), str(ROOT / "bench" / "contestants" / f"{name}.py")]


STOCK = Entrant(
    "stock Faust",
    "stock",
    True,
    lambda: [*_program("stock_faust", lambda: sys.executable)(), "worker", "-l", "warn", "--without-web"],
    _stock_books,
    lambda: own_versions("faust-streaming", "aiokafka", "rocksdict"),
    share=0.05,
)
QUIX = Entrant(
    "Quix Streams",
    "quix",
    True,
    _program("quix", lambda: locked_python("quix")),
    _quix_books,
    lambda: locked_versions("quix", "quixstreams", "confluent-kafka", "rocksdict"),
)
BYTEWAX = Entrant(
    "Bytewax",
    "",
    True,
    _program("bytewax_flow", lambda: locked_python("bytewax")),
    _bytewax_books,
    lambda: locked_versions("bytewax", "bytewax", "confluent-kafka", "orjson"),
)
LOOP = Entrant(
    "confluent-kafka loop",
    "confluent",
    False,
    _program("confluent_loop", lambda: locked_python("quix")),
    _dumped_books,
    lambda: locked_versions("quix", "confluent-kafka", "orjson"),
)
TRADEFLOW = Entrant(
    "tradeflow",
    "tradeflow-strategies",
    True,
    worker,
    _tradeflow_books,
    lambda: own_versions("tradeflow", "faust-streaming", "aiokafka", "rocksdict", "msgspec"),
    {"TRADEFLOW_NORMALIZED_BOOKS_PER_SECOND": "0.0001"},
)
AS_SHIPPED = Entrant(
    "tradeflow, normalized-books on",
    "tradeflow-strategies",
    True,
    worker,
    _tradeflow_books,
    TRADEFLOW.versions,
)
ENTRANTS = {
    "stock": STOCK,
    "quix": QUIX,
    "bytewax": BYTEWAX,
    "loop": LOOP,
    "tradeflow": TRADEFLOW,
    "shipped": AS_SHIPPED,
}
