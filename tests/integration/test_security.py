"""Who gets in, at Kafka and at the web views; and that no secret gets out."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cluster import until
from tests.integration.secure_kafka import KEY_PASSWORD, PASSWORD, USER, SecureKafka, secure_kafka
from tradeflow import topics
from tradeflow.cluster.security import client_options
from tradeflow.cluster.settings import SECURITY_VARIABLES
from tradeflow.demo.child import Child
from tradeflow.demo.stack import Stack, get
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

WRONG = "wrong-Passw0rd-seen-nowhere"
TOKEN = "token-seen-nowhere-0123456789"
SECRETS = {
    "BINANCE_API_KEY": "binance-key-seen-nowhere",
    "BINANCE_SECRET_KEY": "binance-secret-seen-nowhere",
    "REDIS_URL": "rediss://somebody:redis-Passw0rd-seen%2Fnowhere@127.0.0.1:1/0",  # nobody is there
    "TRADEFLOW_MAVEN_URL": "https://somebody:maven-Passw0rd-seen-nowhere@127.0.0.1:1/maven",
}
SASL = {"kafka_sasl_username": USER, "kafka_sasl_password": PASSWORD}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as kafka:
        yield kafka


# --- Kafka ---


def settings_for(kafka: SecureKafka, listener: str) -> dict[str, Any]:
    tls = {"kafka_tls_ca_file": kafka.ca, "kafka_tls_cert_file": kafka.client}
    return {
        "plain": {"kafka_brokers": kafka.sasl, "kafka_security_protocol": "SASL_PLAINTEXT", **SASL},
        "scram": {
            "kafka_brokers": kafka.sasl,
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            **SASL,
        },
        "tls": {"kafka_brokers": kafka.tls, "kafka_security_protocol": "SSL", **tls},
        "both": {
            "kafka_brokers": kafka.both,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_tls_ca_file": kafka.ca,
            **SASL,
        },
    }[listener]


def declare(**settings: Any) -> None:
    options = client_options(load_settings(**settings))
    asyncio.run(topics.declare_topics(options, [topics.TopicSpec("secured", 1, 3_600_000)], timeout=2.0))


@pytest.mark.parametrize("listener", ["plain", "scram", "tls", "both"])
def test_who_has_the_password_or_the_certificate_gets_in(secure: SecureKafka, listener: str) -> None:
    declare(**settings_for(secure, listener))


@pytest.mark.parametrize(
    ("listener", "changes", "words"),
    [
        ("plain", {"kafka_sasl_password": WRONG}, "doesn't accept TRADEFLOW_KAFKA_SASL_USERNAME=tradeflow-worker"),
        ("scram", {"kafka_sasl_password": WRONG}, "with its password by SCRAM-SHA-512"),
        ("scram", {"kafka_sasl_username": "nobody"}, "doesn't accept TRADEFLOW_KAFKA_SASL_USERNAME=nobody"),
        ("both", {"kafka_sasl_mechanism": "PLAIN"}, "doesn't know TRADEFLOW_KAFKA_SASL_MECHANISM=PLAIN"),
        ("tls", {"kafka_tls_ca_file": "other"}, "unable to get local issuer certificate. Its certificate must be"),
        ("tls", {"kafka_brokers": "localhost"}, "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("tls", {"kafka_tls_cert_file": None}, "If it is there and hangs up: .* TRADEFLOW_KAFKA_TLS_CERT_FILE"),
        ("plain", {"kafka_security_protocol": "SSL"}, "If it is there and hangs up: TRADEFLOW_KAFKA_SECURITY_PRO"),
    ],
)  # fmt: skip
def test_who_has_not_is_told_what_to_correct(
    secure: SecureKafka, listener: str, changes: dict[str, Any], words: str
) -> None:
    settings = {**settings_for(secure, listener), **changes}
    if settings["kafka_brokers"] == "localhost":
        settings["kafka_brokers"] = secure.tls.replace("127.0.0.1", "localhost")
    if settings.get("kafka_tls_ca_file") == "other":
        settings["kafka_tls_ca_file"] = secure.other_ca
    if settings["kafka_security_protocol"] == "SSL" and listener == "plain":
        settings |= dict.fromkeys(SASL)
    began = time.monotonic()
    with pytest.raises(topics.TopicError, match=words) as caught:
        declare(**settings)
    assert time.monotonic() - began < 6
    assert WRONG not in str(caught.value)


def test_the_embedded_kafka_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of another one stay out of the way of `demo` and `run`."""
    names = ("SECURITY_PROTOCOL", "SASL_USERNAME", "SASL_PASSWORD")
    for name, value in zip(names, ("SASL_SSL", USER, PASSWORD), strict=True):
        monkeypatch.setenv(f"TRADEFLOW_KAFKA_{name}", value)
    monkeypatch.setattr(Stack, "start_worker", lambda *_: None)
    with Stack(load_settings(web_port=free_port()), simulate=False, data_dir=tmp_path) as stack:
        for name, value in stack.env.items():
            monkeypatch.setenv(name, value)
        declare(kafka_brokers=stack.brokers)


# --- a whole system ---


def environment(kafka: SecureKafka, listener: str) -> dict[str, str]:
    named = dict.fromkeys(SECURITY_VARIABLES, "")
    for field, value in settings_for(kafka, listener).items():
        named["KAFKA_BROKERS" if field == "kafka_brokers" else f"TRADEFLOW_{field.upper()}"] = str(value)
    return named


@pytest.fixture(scope="module")
def stack(secure: SecureKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers: one with a password and a token, one with a certificate and an encrypted key."""
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("stack"),
        brokers=secure.sasl,
        simulator_options=("--rate", "40", "--depth", "30"),
    )
    stack.env |= {**environment(secure, "plain"), **SECRETS, "TRADEFLOW_TOKEN": TOKEN}
    with stack:
        stack.brokers = secure.tls
        tls = environment(secure, "tls") | {
            "TRADEFLOW_KAFKA_TLS_KEY_FILE": str(secure.client_key),
            "TRADEFLOW_KAFKA_TLS_KEY_PASSWORD": KEY_PASSWORD,
        }
        open_to_all = {"TRADEFLOW_WEB_HOST": "0.0.0.0", "TRADEFLOW_WEB_ADVERTISED_HOST": "127.0.0.1"}
        stack.start_worker(free_port(), **tls, **open_to_all, TRADEFLOW_TOKEN="")
        until(lambda: all(b["state"] == "live" for b in stack.get("/books")["books"]), 60, "live")
        yield stack


def urls(stack: Stack) -> list[str]:
    return [f"http://127.0.0.1:{child.name.removeprefix('worker-')}" for child in stack.children[1:]]


def ask(
    method: str, url: str, token: str | None = None, body: bytes | None = None
) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, method=method, data=body)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_system_behind_a_password_and_a_certificate_serves(stack: Stack) -> None:
    until(lambda: stack.get("/orders")["orders"], 60, "orders come")
    for url in urls(stack):
        assert get(f"{url}/books/kraken/BTC-USDT?depth=5")["state"] == "live"
        assert len(get(f"{url}/feeds")["feeds"]) == 4
        assert get(f"{url}/feeds")["silent_workers"] == []


def snapshots(stack: Stack) -> int:
    """Of Kraken's books, as the workers' markets have seen them."""
    markets = [market for url in urls(stack) for market in get(f"{url}/stats")["markets"].values()]
    return sum(market["snapshots"].get("kraken", 0) for market in markets)


def test_an_operator_with_the_token_has_a_book_taken_anew(stack: Stack) -> None:
    place = "/books/kraken/BTC-USDT/resync"
    with_token, without = urls(stack)
    before = snapshots(stack)
    status, headers, body = ask("POST", with_token + place, WRONG)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer"), body
    assert ask("POST", with_token + place)[0] == 401
    status, _, body = ask("POST", without + place, TOKEN)
    assert status == 403
    assert b"set TRADEFLOW_TOKEN" in body
    assert ask("POST", with_token + place, TOKEN, bytes(20_000))[0] == 413
    assert ask("POST", with_token + "/books/kraken/NOPE-USD/resync", TOKEN)[0] == 404
    assert ask("GET", with_token + place, TOKEN)[0] == 405
    time.sleep(1)
    assert snapshots(stack) == before  # nothing of that has changed anything
    status, _, body = ask("POST", with_token + place, TOKEN)
    assert status == 200, body
    until(lambda: snapshots(stack) > before, 30, "a new snapshot of it")
    assert "asks for '/books/kraken/BTC-USDT/resync'" in stack.children[1].log()


def test_who_serves_others_without_a_token_is_warned(stack: Stack) -> None:
    with_token, without = stack.children[1:]
    assert "the web views listen on 0.0.0.0: whoever reaches it reads" in without.log()
    assert "the web views listen on" not in with_token.log()


def test_only_our_own_pages_are_there(stack: Stack) -> None:
    for page in ("/router/", "/router/topics", "/table/", "/table/order_books/", "/graph/", "/performance/"):
        assert ask("GET", stack.web_url + page)[0] == 404, page
    assert ask("GET", f"{stack.web_url}/assignment/")[0] == 404
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for page in ("/books", "/books/kraken/BTC-USDT", "/orders", "/stats", "/"):
            assert ask(method, stack.web_url + page, TOKEN)[0] == 405, (method, page)


def test_limits_of_depth_and_pages(stack: Stack) -> None:
    for path in ("/books/kraken/BTC-USDT?depth=100001", "/trades/BTC-USDT?limit=1001", "/orders?limit=10001"):
        assert ask("GET", stack.web_url + path)[0] == 400, path


def test_no_secret_is_in_any_answer_log_or_error(secure: SecureKafka, stack: Stack, tmp_path: Path) -> None:
    seen = {child.name: child.log() for child in stack.children}
    for url in urls(stack):
        for path in readable(url):
            _, headers, body = ask("GET", url + path, TOKEN)
            seen[url + path] = f"{headers}{body.decode()}"
        seen[f"{url}/stream"] = beginning(f"{url}/stream")
    env = {**os.environ, **stack.env, "KAFKA_BROKERS": secure.sasl}
    for options in ([], ["--json"]):
        seen[f"show-config {options}"] = run(env, "show-config", *options)
    wrong = {"KAFKA_BROKERS": secure.sasl, "TRADEFLOW_KAFKA_SASL_PASSWORD": WRONG}
    wrong |= {"TRADEFLOW_DATA_DIR": str(tmp_path / "data"), "TRADEFLOW_WEB_PORT": str(free_port())}
    command = ["tradeflow.cli", "worker", "-l", "debug"]
    worker = Child("worker", command, tmp_path / "worker.log", {**stack.env, **wrong})
    assert worker.wait() == 1
    seen["wrong password"] = worker.log()
    assert "doesn't accept TRADEFLOW_KAFKA_SASL_USERNAME=tradeflow-worker" in seen["wrong password"]
    complaints = re.findall(r"\[(?:WARNING|ERROR|CRITICAL)\]", seen["wrong password"])
    assert len(complaints) <= 5
    assert "Redis at 127.0.0.1:1 takes no tops of books" in stack.children[1].log()
    assert all(len(text) > 10 for text in seen.values())
    secrets = [PASSWORD, KEY_PASSWORD, WRONG, TOKEN, *SECRETS.values(), "maven-Passw0rd", "redis-Passw0rd"]
    found = [(name, secret) for name, text in seen.items() for secret in secrets if secret in text]
    assert found == []


def readable(url: str) -> list[str]:
    """Every page that the worker's own description has, with something in the place of each parameter."""
    fill = {"{exchange}": "binance", "{symbol}": "BTC-USDT"}
    described = get(f"{url}/openapi.json")["paths"]
    paths = [path for path, methods in described.items() if "get" in methods and path != "/stream"]
    assert {"/books/{exchange}/{symbol}", "/stats", "/metrics", "/ready"} <= set(paths)
    for name, value in fill.items():
        paths = [path.replace(name, value) for path in paths]
    return ["/", "/openapi.json", *(re.sub(r"{\w+}", "none", path) for path in paths)]


def beginning(url: str) -> str:
    """The first events of a stream that never ends."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return "".join(answer.readline().decode() for _ in range(30))


def run(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "tradeflow.cli", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
