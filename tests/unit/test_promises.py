"""What docs/promises.md claims and no other test shows: names of settings, forms of maps, time for an update."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tables.order_books import OrderBook
from tradeflow.feeds.kraken import checksum
from tradeflow.market import Market
from tradeflow.messages import Delta, MarketEvent, Raw, RawBook, Snapshot
from tradeflow.normalize import normalize
from tradeflow.partitions import load_map, load_maps
from tradeflow.settings import Settings, load_settings
from tradeflow.strategies import load_strategies

PAGE = Path(__file__).parents[2] / "docs" / "promises.md"
MILLISECOND = 1_000_000
PLACE: dict[str, Any] = {"exchange": "kraken", "symbol": "BTC-USDT", "epoch": 1, "receipt_time": 10**18}
LEVELS = 1_000
UPDATES = 2_000


def test_every_promise_is_shown_or_plainly_not_kept() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    promises = [row for row in rows if row[0] != "Promise" and "---" not in row[0]]
    assert len(promises) > 70
    licenses = [row for row in promises if row[0].startswith("MIT")]
    unshown = [
        row
        for row in promises
        if not re.search(r"`test_\w+`|`make \w+`|\*\*Not (kept|run|tried)\*\*", row[2])
    ]
    assert unshown == licenses


def test_settings_that_other_systems_have_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "SYMBOLS", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(
        "BINANCE_API_KEY=a\nBINANCE_SECRET_KEY=b\nBINANCE_TESTNET=true\nSYMBOLS=BTCUSDT,ETHUSDT,ADAUSDT\n"
        "ORDER_BOOK_DEPTH=10\nKAFKA_BOOTSTRAP_SERVERS=localhost:19092\nLOG_LEVEL=DEBUG\n"
    )
    settings = load_settings()
    assert settings.symbols == ["BTC-USDT", "ETH-USDT", "ADA-USDT"]
    assert (settings.kafka_brokers, settings.log_level) == ("localhost:19092", "DEBUG")
    assert (settings.binance_testnet, settings.order_book_depth) == (True, 10)
    assert settings.binance_api_key and settings.binance_api_key.get_secret_value() == "a"
    monkeypatch.setenv("KAFKA_BROKERS", "localhost:29092")
    assert load_settings().kafka_brokers == "localhost:29092"
    assert (
        Settings.model_fields["order_book_depth"].default,
        Settings.model_fields["log_level"].default,
    ) == (
        20,
        "INFO",
    )


def test_a_map_in_the_spelling_of_exchanges_loads(tmp_path: Path) -> None:
    (tmp_path / "binance.json").write_text(json.dumps({"SOL/USDT": 0, "APEUSDT": 1}))
    assert dict(load_map(tmp_path / "binance.json")) == {"SOL-USDT": 0, "APE-USDT": 1}


# --- time for an update, in processor time: it is the same on a machine that does something else ---


def levels(side: int, size: str) -> list[tuple[str, str]]:
    return [(str(50_000 + side * (n + 1)), size) for n in range(LEVELS)]


def update(sequence: int) -> RawBook:
    """Three levels, the best ones among them."""
    sizes = [f"{sequence % 7 + 1}.{n}00" for n in range(3)]
    return RawBook(
        **PLACE,
        sequence=sequence,
        snapshot=False,
        bids=[(str(49_999 - n * 100), size) for n, size in enumerate(sizes)],
        asks=[(str(50_001 + n * 100), size) for n, size in enumerate(sizes)],
    )


def times(call: Callable[[Any], object], inputs: list[Any]) -> list[int]:
    """Nanoseconds of each call, sorted."""
    found = []
    for each in inputs:
        began = time.thread_time_ns()
        call(each)
        found.append(time.thread_time_ns() - began)
    return sorted(found)


def first_snapshot() -> Snapshot:
    return Snapshot(**PLACE, sequence=0, bids=levels(-1, "1"), asks=levels(1, "1"))


def test_an_update_takes_less_than_a_millisecond() -> None:
    """From the raw record's bytes to the book, its outputs and its strategies' orders."""
    market = Market(0, [("kraken", "BTC-USDT")], load_strategies(["imbalance", "arbitrage"], load_maps()))
    market.apply(first_snapshot(), 0)
    decode_raw, decode = msgspec.json.Decoder(Raw).decode, msgspec.json.Decoder(MarketEvent).decode
    offsets = iter(range(1, UPDATES + 1))

    def take(raw: bytes) -> None:
        event = decode(msgspec.json.encode(normalize(decode_raw(raw))))
        market.apply(event, next(offsets))
        for output in market.take_outputs():
            msgspec.json.encode(output)

    taken = times(take, [msgspec.json.encode(update(n)) for n in range(1, UPDATES + 1)])
    assert market.counts["deltas"] == {"kraken": UPDATES}
    assert sum(taken) / len(taken) < MILLISECOND
    assert taken[len(taken) * 99 // 100] < MILLISECOND


def test_validation_takes_less_than_a_tenth_of_a_millisecond() -> None:
    """All that an update is held to, its being applied included: numbering, crossing, jump, Kraken's checksum."""
    book = OrderBook("kraken", "BTC-USDT", max_jump=0.5)
    book.snapshot(first_snapshot(), PLACE["receipt_time"])
    deltas = [normalize(update(n)) for n in range(1, UPDATES + 1)]

    def validate(delta: Delta) -> None:
        book.delta(delta, delta.receipt_time)
        checksum(*book.book.top(10))

    taken = times(validate, deltas)
    assert book.state == "live" and book.sequence == UPDATES
    assert sum(taken) / len(taken) < MILLISECOND / 10
