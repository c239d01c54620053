"""Tops of books in a real Redis: exact, never older than what is there, gone when nobody writes them."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from market_log import Log, T, delta, new_log, snapshot

from tests.redis_server import RedisServer
from tradeflow.messages import Clock, Down
from tradeflow.redis.tops import FIELDS, WRITE, encoded, fields_of, key_of, version_of
from tradeflow.redis.writer import RedisWriter

ROOT = Path(__file__).parents[2]
BINANCE, KRAKEN = (key_of("t", exchange, "BTC-USDT") for exchange in ("binance", "kraken"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """With the options of the compose file's."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    with RedisServer(
        tmp_path_factory.mktemp("redis"), *compose["services"]["redis"]["command"][1:]
    ) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Any:
    client = server.client()
    client.flushall()
    return client


def now() -> int:
    """As market_log counts."""
    return time.time_ns() - T


def live_log(**first: Any) -> Log:
    log = new_log()
    log(snapshot(time=now(), **first), snapshot(time=now(), exchange="kraken"))
    return log


@asynccontextmanager
async def writing(log: Log, url: str, **options: Any) -> AsyncIterator[RedisWriter]:
    options = {"prefix": "t", "worker": "w1", "interval": 0.01, "lifetime": 5.0, **options}
    writer = RedisWriter(url, lambda: {7: log.market}, **options)
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


async def until(condition: Any, what: str, timeout: float = 15.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        await asyncio.sleep(0.01)
    return found


def is_there(redis: Any, key: str = BINANCE, **fields: str) -> Any:
    return lambda: fields.items() <= redis.hgetall(key).items()


async def test_every_top_is_there_and_follows(server: RedisServer, redis: Any) -> None:
    log = live_log(bids=[("100.1", "1.50"), ("99", "1")], asks=[("100.4", "0.00000001")])
    for book in log.market.books.values():
        book.silence_ns = 600 * 10**9  # however slow this machine is
    async with writing(log, server.url, lifetime=600.0) as writer:
        await until(lambda: len(redis.keys()) == 2, "both books are there")
        found = redis.hgetall(BINANCE)
        assert tuple(found) == FIELDS
        book = log.market.books["binance", "BTC-USDT"]
        written = int(found.pop("written"))
        assert abs(time.time_ns() - written) < 5e9
        assert found == {
            "version": version_of(1, 0, log.market.event_time),
            "exchange": "binance",
            "symbol": "BTC-USDT",
            "state": "live",
            "reason": "",
            "bid": "100.1",
            "bid_size": "1.50",
            "ask": "100.4",
            "ask_size": "0.00000001",
            "mid": "100.25",
            "spread": "0.3",
            "spread_pct": "0.299252",
            "epoch": "1",
            "sequence": "0",
            "exchange_sequence": "900",
            "exchange_time": str(T - 5),
            "receipt_time": str(book.receipt_time),
            "heard": str(book.heard),
            "event_time": str(log.market.event_time),
            "last_verified": str(book.last_verified),
            "partition": "7",
            "worker": "w1",
        }
        log(delta(1, now(), bids=[("100.2", "3")]))
        await until(is_there(redis, bid="100.2", bid_size="3", sequence="1"), "the next top")
        await until(lambda: writer.writes["written"] == 3, "both, and that one again")
        log(delta(2, now(), bids=[("98", "3")]))
        await asyncio.sleep(0.2)
        assert writer.writes["written"] == 3, "nothing that a reader sees has changed"


async def test_a_book_that_is_not_live_says_so(server: RedisServer, redis: Any) -> None:
    log = live_log()
    async with writing(log, server.url):
        await until(is_there(redis, state="live"), "live")
        log(delta(5, now()))
        await until(is_there(redis, state="broken", reason="gap: have 0, got 5 of epoch 1"), "broken")
        where = {"exchange": "kraken", "symbol": "BTC-USDT", "epoch": 1}
        log(Down(**where, sequence=1, reason="on purpose", receipt_time=time.time_ns()))
        await until(is_there(redis, KRAKEN, state="stale", reason="down: on purpose"), "down")
        where = {"sequence": 0, "epoch": 2}
        log(snapshot(time=now(), bids=[("105", "1")], asks=[("106", "1")], **where))
        await until(is_there(redis, state="live", bid="105", epoch="2"), "live again")


async def test_a_worker_that_hears_nothing_calls_nothing_live(server: RedisServer, redis: Any) -> None:
    """No record comes any more: its own clock tells."""
    log = live_log()
    log.market.books["binance", "BTC-USDT"].silence_ns = 10**9
    async with writing(log, server.url):
        await until(is_there(redis, state="live"), "live")
        await until(is_there(redis, state="stale"), "stale")


async def test_an_older_owner_replaces_nothing(server: RedisServer, redis: Any) -> None:
    """It was frozen, its partition has moved, and it wakes up; or it goes on from a checkpoint."""
    first = now()
    old, new = new_log(), new_log()
    for log in (old, new):
        log(snapshot(time=first), delta(1, first + 1, bids=[("100.5", "1")]))
    new(delta(2, now(), bids=[("100.7", "1")]))
    async with writing(new, server.url, worker="new"):
        await until(is_there(redis, bid="100.7"), "the newer state")
        async with writing(old, server.url, worker="old") as zombie:
            await until(lambda: zombie.writes["older"], "the older one is refused")
            for _ in range(20):
                assert redis.hget(BINANCE, "worker") == "new"
                await asyncio.sleep(0.01)
            old(delta(2, first + 2, bids=[("100.7", "1")]), delta(3, now(), bids=[("100.8", "1")]))
            await until(is_there(redis, bid="100.8", worker="old"), "the same log, further on")


async def test_what_says_less_of_the_same_record_is_older(server: RedisServer, redis: Any) -> None:
    """Silence and the end of a connection have no number of their own: event time tells."""
    log, behind = live_log(), live_log()
    first = log.market.books["binance", "BTC-USDT"]
    log(Clock(receipt_time=first.heard + 6 * 10**9))
    assert first.state == "stale"
    async with writing(log, server.url):
        await until(is_there(redis, state="stale"), "stale")
        async with writing(behind, server.url) as zombie:
            await until(lambda: zombie.writes["older"] >= 2, "refused")
            assert redis.hget(BINANCE, "state") == "stale"


def test_versions_sort_as_epoch_sequence_and_time() -> None:
    versions = [(-1, -1, 0), (0, -1, 9), (0, 0, T), (0, 9, T), (0, 10, T - 1), (0, 10, T), (10, -1, 0)]
    assert sorted(versions) == versions
    assert sorted(version_of(*version) for version in versions) == [version_of(*v) for v in versions]


async def test_books_that_nobody_writes_any_more_vanish(server: RedisServer, redis: Any) -> None:
    log = live_log()
    async with writing(log, server.url, lifetime=1.0):
        await until(lambda: len(redis.keys()) == 2, "both books are there")
        await asyncio.sleep(1.5)
        assert len(redis.keys()) == 2, "as long as it writes they stay, though nothing changes"
    await until(lambda: not redis.keys(), "gone", 2.0)


def test_what_has_waited_too_long_counts_as_nothing(redis: Any) -> None:
    """The commands that a frozen Redis finds when it wakes up."""
    market = live_log().market
    book = market.books["binance", "BTC-USDT"]
    fields = fields_of(book, "live", "", market.event_time, 0, 7, "w1")

    def write(written_ms: int, lifetime_ms: int = 5000) -> Any:
        return redis.eval(WRITE, 1, BINANCE, lifetime_ms, written_ms, encoded(fields))

    now_ms = time.time_ns() // 1_000_000
    assert write(now_ms - 5000) == [0, 0, 1]
    assert not redis.exists(BINANCE)
    assert write(now_ms - 2000) == [1, 0, 0]
    assert 1000 < redis.pttl(BINANCE) <= 3000
    assert write(now_ms + 3_600_000) == [1, 0, 0]
    assert 4000 < redis.pttl(BINANCE) <= 5000, "a clock that is ahead keeps no book alive"


async def test_killed_and_started_again_it_has_every_book(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tradeflow.redis.writer")
    with RedisServer(tmp_path) as server:
        log = live_log()
        log.market.books["kraken", "BTC-USDT"].silence_ns = 600 * 10**9  # nothing of it changes
        async with writing(log, server.url, lifetime=600.0) as writer:
            await until(lambda: writer.writes["written"] >= 2, "written")
            server.kill()
            await until(lambda: writer.errors >= 3, "tried again and again")
            assert not writer.connected
            assert writer.age() > 0.1
            log(delta(1, now(), bids=[("100.9", "1")]))
            server.start()
            began = time.monotonic()
            await until(is_there(server.client(), bid="100.9"), "back, with what is true now")
            assert time.monotonic() - began < 6
            await until(lambda: len(server.client().keys()) == 2, "also the book that has not changed")
            await until(lambda: writer.age() < 0.5, "young again")
    said = [line for line in caplog.messages if line.startswith("Redis at")]
    assert [line.split(": ")[0].removeprefix(f"Redis at 127.0.0.1:{server.port} ") for line in said] == [
        "takes the tops of books",
        "takes no tops of books",
        "takes the tops of books",
    ]


async def test_frozen_it_holds_nobody_up(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        log, turns = live_log(), 0
        async with writing(log, server.url, lifetime=1.0) as writer:
            await until(lambda: writer.writes["written"] >= 2, "written")
            server.signal(signal.SIGSTOP)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                began = time.monotonic()
                log(delta(1 + turns, now(), bids=[(str(Decimal("100.1") + turns % 9), "1")]))
                turns += 1
                await asyncio.sleep(0.01)
                assert time.monotonic() - began < 1
            assert writer.errors, "given up, and tried again"
            log(delta(1 + turns, now(), bids=[("100", "0")]), delta(9999 + turns, now()))
            assert log.market.books["binance", "BTC-USDT"].state == "broken"
            server.signal(signal.SIGCONT)
            client, states = server.client(), set()
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                states.add(client.hget(BINANCE, "state"))
                await asyncio.sleep(0.005)
            assert states <= {None, "broken"}, "of what it had not read yet, nothing counts"
            assert "broken" in states


# --- who gets in ---

PASSWORD = "redis-Passw0rd-seen-nowhere"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """TLS on another port, and a password."""
    directory = tmp_path_factory.mktemp("secure-redis")
    make_certificate(directory)
    tls = ["--tls-cert-file", "redis.pem", "--tls-key-file", "redis.key", "--tls-ca-cert-file", "redis.pem"]
    with RedisServer(
        directory, "--requirepass", PASSWORD, "--tls-auth-clients", "no", *tls, tls=True
    ) as server:
        yield server


def make_certificate(directory: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=redis"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "redis.key", "-out", "redis.pem"]
    subprocess.run([*command.split(), *names], cwd=directory, check=True, capture_output=True)


async def test_over_tls_with_a_password(secure: RedisServer) -> None:
    ca = secure.directory / "redis.pem"
    url = f"rediss://:{PASSWORD}@127.0.0.1:{secure.tls_port}/0?ssl_ca_certs={ca}"
    async with writing(live_log(), url) as writer:
        await until(lambda: writer.writes["written"] >= 2, "written")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rediss://:wrong-Passw0rd@127.0.0.1:{tls}/0?ssl_ca_certs={ca}", "Correct REDIS_URL, or this user's rights"),
        ("rediss://:{password}@127.0.0.1:{tls}/0", "CERTIFICATE_VERIFY_FAILED"),
        ("rediss://:{password}@localhost:{tls}/0?ssl_ca_certs={ca}", "Hostname mismatch"),
        ("redis://127.0.0.1:{port}/0", "Authentication required. Correct REDIS_URL"),
    ],
)  # fmt: skip
async def test_who_is_not_let_in_is_told_why_and_shows_no_secret(
    secure: RedisServer, caplog: pytest.LogCaptureFixture, url: str, words: str
) -> None:
    url = url.format(
        password=PASSWORD, tls=secure.tls_port, port=secure.port, ca=secure.directory / "redis.pem"
    )
    async with writing(live_log(), url) as writer:
        await until(lambda: writer.errors >= 2, "refused")
    (record,) = caplog.records
    assert words in record.getMessage()
    assert "Passw0rd" not in caplog.text


async def test_a_user_with_the_documented_rights_is_enough(server: RedisServer, redis: Any) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    (rights,) = re.findall(r"Give the\nworkers' user (.+?) on its keys alone", page)
    commands = [f"+{name.lower()}" for name in re.findall(r"`(\w+)`", rights)]
    redis.acl_setuser("worker", enabled=True, passwords=["+pw"], keys=["t:top:*"], commands=commands)
    url = server.url.replace("redis://", "redis://worker:pw@")
    async with writing(live_log(), url) as writer:
        await until(lambda: writer.writes["written"] >= 2, "written")
    async with writing(live_log(), url, prefix="other") as writer:
        await until(lambda: writer.errors, "not these keys")


def test_the_page_has_every_field() -> None:
    page = (ROOT / "docs" / "redis.md").read_text()
    table = page[page.index("| Field |") : page.index("**No older state")]
    rows = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    assert re.findall(r"\w+", " ".join(rows)) == list(FIELDS)
