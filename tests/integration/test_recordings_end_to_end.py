"""Recorded frames through everything: exchange servers, feeds, Kafka, books, tables, web view.

What is served at the end must be what plain code makes of the same frames, digit by digit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web

from tests.faults.cluster import GROUP, Cluster, Worker, caught_up, until
from tests.plain_books import CASES, DIRECTORY, needs_recordings, plain
from tradeflow import topics
from tradeflow.demo.stack import get
from tradeflow.messages import Raw, RawBook, RawDown, RawTrade
from tradeflow.partitions import dump_map, extend, load_maps
from tradeflow.simulator.recorded import RecordedConnection, RecordedExchange

pytestmark = [*needs_recordings, pytest.mark.integration, pytest.mark.timeout(180)]

NAMES = {
    "binance": {"NKN-USDT": "NKNUSDT", "BLZ-ETH": "BLZETH", "LRC-BTC": "LRCBTC", "RUNE-EUR": "RUNEEUR"},
    "bitmex": {
        "XRP-BTC-21U24": "XRPU21",
        "TRX-BTC-21U24": "TRXU21",
        "BTC-USD-PERP": "XBTUSD",
        "BCH-USD-PERP": "BCHUSD",
        "UNI-USDT-PERP": "UNIUSDT",
        "ADA-USDT-PERP": "ADAUSDT",
        "SOL-USDT-PERP": "SOLUSDT",
        "EOS-USDT-PERP": "EOSUSDT",
        "TRX-USDT-PERP": "TRXUSDT",
        "MATIC-USDT-PERP": "MATICUSDT",
    },
    "coinbase": {"BTC-USD": "BTC-USD", "ETH-USD": "ETH-USD"},
    "kraken-v1": {
        "ADA-BTC": "ADA/XBT",
        "BTC-CHF": "XBT/CHF",
        "ETH-CHF": "ETH/CHF",
        "GRT-ETH": "GRT/ETH",
        "KSM-BTC": "KSM/XBT",
        "OCEAN-BTC": "OCEAN/XBT",
        "OMG-USD": "OMG/USD",
        "SC-EUR": "SC/EUR",
        "WAVES-EUR": "WAVES/EUR",
        "XMR-USD": "XMR/USD",
    },
    "okx": {"BTC-USDT": "BTC-USDT", "UNI-USD-PERP": "UNI-USD-SWAP", "BTC-USD-22K27": "BTC-USD-220527"},
}
"""Canonical symbol -> the exchange's own name, of every recorded book."""

BOOKS = [(exchange, symbol) for exchange, symbols in NAMES.items() for symbol in symbols]

NOTHING_NEW = {
    "BINANCE": {
        "stream": "nknusdt@bookTicker",
        "data": dict.fromkeys("bBaA", "1") | {"s": "NKNUSDT", "u": 1},
    },
    "BITMEX": {"info": "nothing new"},
    "COINBASE": {"channel": "heartbeats", "events": []},
    "KRAKEN": {"event": "heartbeat"},
    "OKX": {"event": "subscribe"},
}
"""What a quiet exchange sends; without any frame its feed would take it for dead, and connect again."""

RECORDS = {exchange: snapshots + deltas for exchange, (_, _, (snapshots, deltas, _, _)) in CASES.items()}
"""Snapshots and deltas of each exchange."""

EVERYTHING = 100_000  # levels


class QuietExchange(RecordedExchange):
    """After the last frame it stays there, as an exchange where nothing happens any more."""

    async def _send(self, socket: web.WebSocketResponse, connection: RecordedConnection) -> None:
        await super()._send(socket, connection)
        numbers = [
            number["sequence_num"]
            for _, frame in connection.frames
            if "sequence_num" in (number := json.loads(frame))
        ]
        with contextlib.suppress(ConnectionError):
            for number in itertools.count(max(numbers, default=0) + 1):
                await asyncio.sleep(1)
                numbered = {"sequence_num": number} if numbers else {}
                await socket.send_json(NOTHING_NEW[self.name] | numbered)


@contextlib.contextmanager
def quiet_exchanges() -> Iterator[dict[str, str]]:
    """All five in a thread; gives the settings that point a worker at them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    exchanges = contextlib.AsyncExitStack()
    try:
        env: dict[str, str] = {}
        for name, *_ in CASES.values():
            env |= call(exchanges.enter_async_context(QuietExchange(DIRECTORY, name))).endpoints
        yield env
    finally:
        call(exchanges.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def write_maps(directory: Path) -> Path:
    """Partition maps of the recorded books, on several partitions each."""
    directory.mkdir()
    for exchange, symbols in NAMES.items():
        map_ = extend(None, symbols, min(3, len(symbols)))
        (directory / f"{exchange}.json").write_text(dump_map(map_))
    everything = sorted({symbol for _, symbol in BOOKS})
    (directory / "symbols.json").write_text(dump_map(extend(None, everything, 4)))
    return directory


class System(NamedTuple):
    cluster: Cluster
    worker: Worker


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One worker that runs everything, and has played all recordings to the end."""
    directory = tmp_path_factory.mktemp("recordings")
    maps = write_maps(directory / "maps")
    with quiet_exchanges() as endpoints:
        env = {
            **endpoints,
            "TRADEFLOW_PARTITION_MAPS": str(maps),
            "EXCHANGES": ",".join(NAMES),
            "STRATEGIES": "",
        }
        with Cluster(directory, **env) as cluster:
            cluster.maps = load_maps(maps)
            worker = cluster.worker("w1", TRADEFLOW_ROLE="all", TRADEFLOW_APP_ID=GROUP).wait_ready()
            until(lambda: applied(worker) == RECORDS, 60, "every book is at its end")
            until(lambda: caught_up(cluster), 30, "everything is normalized, applied and committed")
            yield System(cluster, worker)


def applied(worker: Worker) -> Counter[str]:
    """How many snapshots and deltas this process has applied to its books, by exchange."""
    worker.child.check()
    counts: Counter[str] = Counter()
    for market in get(f"{worker.url}/stats")["markets"].values():
        counts.update(market["snapshots"])
        counts.update(market["deltas"])
    return +counts


def digits(number: str) -> str:
    """The canonical spelling: no exponent, no zeros at the end of a fraction."""
    text = plain(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def expected_sides(exchange: str, symbol: str) -> tuple[list[list[str]], list[list[str]]]:
    """Bids and asks of the plain reference, best first."""
    bids, asks = (
        sorted(([digits(price), digits(size)] for price, size in side.items()), key=lambda x: Decimal(x[0]))
        for side in CASES[exchange][1]().books[NAMES[exchange][symbol]]
    )
    return bids[::-1], asks


def check_served(worker: Worker) -> tuple[dict[tuple[str, str], Any], int]:
    """Compare every served book with the plain reference; returns their other fields, and the levels compared."""
    found, compared = {}, 0
    for exchange, symbol in BOOKS:
        book = worker.book(exchange, symbol, EVERYTHING)
        bids, asks = expected_sides(exchange, symbol)
        assert book["bids"] == bids, f"{exchange}/{symbol}"
        assert book["asks"] == asks, f"{exchange}/{symbol}"
        assert book["levels"] == [len(bids), len(asks)]
        compared += len(bids) + len(asks)
        found[exchange, symbol] = {
            key: book[key]
            for key in (
                "state",
                "epoch",
                "sequence",
                "exchange_sequence",
                "exchange_time",
                "receipt_time",
                "kafka",
            )
        }
    return found, compared


def test_the_references_have_exactly_these_books() -> None:
    for exchange, (_, make_reference, _) in CASES.items():
        assert set(make_reference().books) == set(NAMES[exchange].values())


def test_served_books_equal_the_plain_reference(system: System) -> None:
    served, levels = check_served(system.worker)
    assert {book["state"] for book in served.values()} == {"live"}
    assert len(served) == 29
    assert levels > 50_000


@pytest.mark.parametrize("exchange", CASES)
def test_topics_hold_what_was_recorded_once(system: System, exchange: str) -> None:
    decode = msgspec.json.Decoder(Raw).decode
    counts: Counter[str] = Counter()
    epochs = set()
    sequences = defaultdict(list)
    for topic in (topics.orderbook_topic(exchange), topics.trades_topic(exchange)):
        for partition, records in system.cluster.read(topic).items():
            for record in records:
                raw = decode(record.value)
                assert not isinstance(raw, RawDown), raw
                assert (raw.symbol, partition) == (
                    record.key.decode(),
                    system.cluster.maps.exchanges[exchange][raw.symbol],
                )
                if isinstance(raw, RawBook | RawTrade):
                    epochs.add(raw.epoch)
                    sequences[topic, raw.symbol].append(raw.sequence)
                if isinstance(raw, RawBook):
                    counts["snapshots" if raw.snapshot else "deltas"] += 1
                    counts["levels"] += 0 if raw.snapshot else len(raw.bids) + len(raw.asks)
                elif isinstance(raw, RawTrade):
                    counts["trades"] += 1
    expected = CASES[exchange][2]
    assert tuple(counts[kind] for kind in ("snapshots", "deltas", "levels", "trades")) == expected
    assert len(epochs) == 1, "the feed has lost its connection"
    for numbers in sequences.values():
        assert numbers == list(range(len(numbers)))

    normalized = [
        json.loads(record.value)
        for records in system.cluster.read(topics.TRADES).values()
        for record in records
    ]
    assert sum(trade["exchange"] == exchange for trade in normalized) == expected[3]


def test_nothing_became_a_dead_letter(system: System) -> None:
    assert system.cluster.read(topics.DEAD_LETTERS) == {0: []}


def checkpoints(worker: Worker) -> int:
    return int(get(f"{worker.url}/stats")["checkpoints"]["count"])


def test_books_come_back_from_the_tables(system: System) -> None:
    """The same group again, without feeds: from local state after a kill -9, then from the changelog alone."""
    cluster, worker = system
    before, levels = check_served(worker)
    assert applied(worker) == RECORDS
    # The one after the next begins after everything was applied.
    last = checkpoints(worker) + 2
    until(lambda: checkpoints(worker) >= last, 10, "everything is in a checkpoint")
    worker.kill()
    for name in ("w1", "elsewhere"):
        worker = cluster.worker(name, TRADEFLOW_ROLE="strategies", TRADEFLOW_APP_ID="tradeflow").wait_ready()
        assert check_served(worker) == (before, levels)
        assert applied(worker) == {}, "books were made anew from the log"
        worker.child.stop()
