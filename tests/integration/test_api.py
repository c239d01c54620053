"""The HTTP interface of two running workers, held to its own description: by schemathesis, and by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from tradeflow.demo.stack import Stack
from tradeflow.ports import free_port
from tradeflow.settings import load_settings
from tradeflow.web.problems import KINDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

TOKEN = "token-of-a-test-0123456789"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers, so that some books come from the one that isn't asked."""
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("api"),
        simulator_options=("--rate", "40", "--depth", "30"),
    )
    stack.env |= {"TRADEFLOW_TOKEN": TOKEN, "TRADEFLOW_STREAM_CLIENTS": "2", "TRADEFLOW_SESSION_TIMEOUT": "6"}
    with stack:
        stack.start_worker(free_port())
        deadline = time.monotonic() + 90
        while not ready(stack):
            stack.check()
            assert time.monotonic() < deadline, stack.get("/books")
            time.sleep(0.2)
        yield stack


def ready(stack: Stack) -> bool:
    """Each worker owns something, every book is live, and something was ordered, filled and counted."""
    partitions = [ask(url + "/ready").get("partitions") for url in urls(stack)]
    filled = ask(stack.web_url + "/stats").get("executions", {}).get("FILLED", 0)
    books = ask(stack.web_url + "/books")["books"]
    return all(partitions) and filled > 8 and all(book["state"] == "live" for book in books)


def urls(stack: Stack) -> list[str]:
    return [f"http://127.0.0.1:{child.name.removeprefix('worker-')}" for child in stack.children[1:]]


class Answer(dict[str, Any]):
    """A decoded body, with its status and headers."""

    status: int
    headers: Mapping[str, str]


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    request = urllib.request.Request(
        url,
        method=method,
        data=body,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
    )
    try:
        response: Any = _opener.open(request, timeout=30)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        content = response.read()
        is_json = content and "json" in response.headers["Content-Type"]
        answer = Answer(json.loads(content) if is_json else {})
        answer.status, answer.headers = response.status, response.headers
        return answer


# --- held to its description ---


def closed(schema: Any) -> Any:
    """The same schema, in which an object has no members beyond those that it lists."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def test_answers_have_no_member_that_is_not_described(stack: Stack) -> None:
    document = ask(f"{stack.web_url}/openapi.json")
    order = ask(f"{stack.web_url}/orders?limit=1")["orders"][0]["order_id"]
    book = ask(f"{stack.web_url}/books/kraken/BTC-USDT")
    names = {"exchange": "kraken", "symbol": "BTC-USDT", "order_id": order, "name": "lost-cursor"}
    queries = {"/books/{exchange}/{symbol}": ["", "?depth=1", f"?epoch={book['epoch']}&sequence=0"]}
    seen = 0
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if "application/json" not in content or path == "/openapi.json":
            continue
        schema = content["application/json"]["schema"] | {"components": document["components"]}
        validator = jsonschema_rs.validator_for(closed(schema))
        for query in queries.get(path, [""]):
            for url in urls(stack):
                answer = ask(url + path.format(**names) + query)
                assert answer.status == 200, (path, answer)
                validator.validate(dict(answer))
                seen += 1
    assert seen > 30


def test_every_problem_leads_to_what_it_means(stack: Stack) -> None:
    for name, kind in KINDS.items():
        told = ask(stack.web_url + kind.type)
        assert told == {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "meaning": kind.meaning,
        }, name
    problem = ask(f"{stack.web_url}/orders/unknown")
    assert (problem.status, problem["order_id"]) == (404, "unknown")
    assert ask(stack.web_url + problem["type"])["title"] == problem["title"] == "unknown order"


def test_orders_of_one_strategy_exchange_or_symbol(stack: Stack) -> None:
    every = ask(f"{stack.web_url}/orders?limit=1000")["orders"]
    for name in ("strategy", "exchange", "symbol"):
        wanted = every[-1][name]
        found = ask(f"{stack.web_url}/orders?limit=1000&{name}={wanted}")["orders"]
        assert {order[name] for order in found} == {wanted}
        known = [order["order_id"] for order in every if order[name] == wanted]
        assert [order["order_id"] for order in found][-len(known) :] == known
    one = ask(f"{stack.web_url}/orders?limit=1&strategy={every[-1]['strategy']}&exchange=nowhere")
    assert (one.status, one["orders"], one["next"]) == (200, [], None)


# --- lists in parts ---


@pytest.mark.parametrize(
    ("path", "rows", "name"),
    [
        ("/orders", "orders", ["order_id"]),
        ("/executions", "executions", ["execution_id"]),
        ("/trades/BTC-USDT", "trades", ["exchange", "epoch", "sequence"]),
        ("/positions", "positions", ["exchange", "symbol"]),
        ("/books", "books", ["exchange", "symbol"]),
        ("/instruments", "instruments", ["exchange", "symbol"]),
        ("/strategies", "strategies", ["strategy", "symbols"]),
        ("/feeds", "feeds", ["feed"]),
    ],
)
def test_a_list_is_read_in_parts_while_it_grows(stack: Stack, path: str, rows: str, name: list[str]) -> None:
    def names(answer: Answer) -> list[Any]:
        return [tuple(str(row[key]) for key in name) for row in answer[rows]]

    known = names(ask(f"{stack.web_url}{path}?limit=1000"))[:60]
    part = ask(f"{stack.web_url}{path}?limit=7")
    read = names(part)
    while part["next"] and len(read) < 200:
        part = ask(f"{stack.web_url}{path}?limit=7&cursor={quote(part['next'])}")
        assert part.status == 200, part
        assert 0 < len(part[rows]) <= 7
        read += names(part)
    assert len(set(read)) == len(read)
    begun = read.index(known[0])  # what is newer has come since
    assert read[begun : begun + len(known)] == known
    lost = ask(f"{stack.web_url}{path}?cursor=nothing")
    assert (lost.status, lost["type"]) == (404, "/problems/lost-cursor")
    for limit in ("0", "10001", "all"):
        bad = ask(f"{stack.web_url}{path}?limit={limit}")
        assert (bad.status, bad["parameter"], bad["value"]) == (400, "limit", limit)
        assert bad["allowed"]["minimum"] == 1 and bad["allowed"]["maximum"] <= 10_000


# --- nothing twice ---


def test_a_book_that_has_not_changed_is_not_sent_again_whoever_is_asked(stack: Stack) -> None:
    told = Counter[int]()
    for exchange, symbol in (("bitmex", "SOL-USD-PERP"), ("binance", "ADA-USDT"), ("coinbase", "BTC-USDT")):
        for url in urls(stack):
            place = f"{url}/books/{exchange}/{symbol}?depth=3"
            deadline = time.monotonic() + 20
            while told[304] == 0 or told[200] == 0:
                assert time.monotonic() < deadline, told
                book = ask(place)
                assert book.headers["Cache-Control"] == "no-cache"
                again = ask(place, If_None_Match=book.headers["ETag"])
                told[again.status] += 1
                if again.status == 304:
                    assert again == {} and again.headers["ETag"] == book.headers["ETag"]
                else:
                    assert (again["epoch"], again["sequence"]) != (book["epoch"], book["sequence"])
                    assert again.headers["ETag"] != book.headers["ETag"]
            other = ask(f"{place}0", If_None_Match=book.headers["ETag"])
            assert other.status == 200 and len(other["bids"]) > 3, "another depth is another answer"
            told.clear()


def test_files_and_the_document_are_sent_once(stack: Stack) -> None:
    for path in ("/", "/static/main.js", "/static/plotly.min.js", "/openapi.json"):
        first = ask(stack.web_url + path)
        assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache"), path
        again = ask(stack.web_url + path, If_None_Match=first.headers["ETag"])
        assert (again.status, again) == (304, {}), path
    for path in ("/books", "/orders", "/trades/BTC-USDT", "/nothing"):
        answer = ask(stack.web_url + path)
        assert answer.headers["Cache-Control"] == "no-store" and "ETag" not in answer.headers, path


# --- limits ---


def test_a_head_takes_no_seat_and_there_are_as_many_as_is_said(stack: Stack) -> None:
    for path in ("/books", "/stream", "/static/main.js"):
        head = ask(stack.web_url + path, "HEAD")
        assert (head.status, head) == (200, {}), path
    readers = [_opener.open(f"{stack.web_url}/stream", timeout=10) for _ in range(2)]
    full = ask(f"{stack.web_url}/stream")
    assert (full.status, full["type"]) == (503, "/problems/too-many-readers")
    assert full.headers["Retry-After"] == "1"
    for reader in readers:
        assert reader.readline().startswith(b"event: ")
        reader.close()


def test_no_other_site_is_let_in(stack: Stack) -> None:
    answer = ask(f"{stack.web_url}/books", Origin="https://elsewhere.example")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    asked = ask(
        f"{stack.web_url}/control/halt",
        "OPTIONS",
        Origin="https://elsewhere.example",
        Access_Control_Request_Method="POST",
    )
    assert (asked.status, asked.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"[]", 400, "Expected `object`"),
        (b"{", 400, "no such JSON object"),
        (b'{"reason": "\xff"}', 400, "can't decode byte 0xff"),
        (b'{"strategi": "imbalance"}', 400, "unknown field `strategi`"),
        (b'{"strategy": "nobody"}', 422, "STRATEGIES has no 'nobody', but"),
        (bytes(16 * 1024 + 1), 413, "at most 16384 bytes"),
    ],
)
def test_what_is_not_said_well_is_refused(stack: Stack, body: bytes, status: int, says: str) -> None:
    told = ask(f"{stack.web_url}/control/halt", "POST", body, Authorization=f"Bearer {TOKEN}")
    assert told.status == told["status"] == status
    assert told.headers["Content-Type"] == "application/problem+json"
    assert says in told["detail"]


# --- everything at once, which also halts strategies ---

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def test_schemathesis_finds_nothing(stack: Stack, tmp_path: Path) -> None:
    """Right and wrong requests by the hundred, the same ones each time: each is answered as the document says."""
    report = tmp_path / "report.ndjson"
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", Path(__file__).with_name("schemathesis.toml")),
            *("run", f"{stack.web_url}/openapi.json", "--checks", "all", "--exclude-path", "/stream"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--report-ndjson-path", report, "--no-color"),
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = Counter(statuses(report))
    assert min(told[200], told[400], told[404], told[405]) >= 50, told
    assert told[401] and told[422], told
    for child in stack.children[1:]:
        assert "which it doesn't declare" not in child.log()


def statuses(report: Path) -> Iterator[int]:
    """Of all answers that schemathesis got."""
    for line in report.read_text(encoding="utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder") or {}
        for one in recorder.get("interactions", {}).values():
            if one["response"] is not None:
                yield one["response"]["status_code"]
