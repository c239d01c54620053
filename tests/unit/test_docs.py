"""What the documentation says exists, exists; what is generated is current; what it shows as a file is that file."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import yaml

from scripts.reference import files
from scripts.reference.settings import WITHOUT_EFFECT
from scripts.reference.topics import TOPICS, general_name
from tradeflow.cli import OWN_VERBS
from tradeflow.messages import Execution, Order, PositionRecord, TopOfBook, Trade
from tradeflow.partitions import load_maps
from tradeflow.risk import Limits, ReasonCode, parse_limits
from tradeflow.settings import Settings, environment_name
from tradeflow.topics import topic_specs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
SOURCE = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tradeflow").rglob("*.py"))}

VARIABLES = {environment_name(name) for name in Settings.model_fields}


def found(pattern: str, page: Path) -> Iterator[re.Match[str]]:
    return re.finditer(pattern, TEXTS[page], re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- generated ---


def test_the_reference_is_current():
    expected = files()
    stale = [
        name_of(path) for path, text in expected.items() if not path.exists() or path.read_text() != text
    ]
    assert not stale, f"run `make docs`: {stale}"
    there = {path for path in (ROOT / "docs" / "reference").rglob("*") if path.is_file()}
    assert there <= expected.keys(), "left over from something that is gone"


def test_every_topic_is_documented():
    maps = load_maps(ROOT / "partition_maps")
    assert {general_name(spec.name, maps.exchanges) for spec in topic_specs(maps)} == set(TOPICS)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_settings_without_effect_are_called_so(field):
    exchange, _, kind = field.removesuffix("_url").rpartition("_")
    endpoint = rf'|endpoint\("{exchange}", "{kind}"\)' if field.endswith(("_rest_url", "_ws_url")) else ""
    use = re.compile(rf"(?:config|settings|self\._settings)\.{field}\b{endpoint}")
    used = any(use.search(text) for path, text in SOURCE.items() if path.name != "settings.py")
    assert used != (field in WITHOUT_EFFECT)


# --- names ---


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for match in found(r"\]\(([^)\s]+)\)", page):
        target, _, anchor = match[1].partition("#")
        if target.startswith(("http://", "https://")):
            continue
        path = (page.parent / target).resolve() if target else page
        if path == ROOT / "docs" / "benchmarks.md" and not path.exists():
            continue  # measured apart
        assert path.exists(), match[1]
        if anchor:
            assert anchor in set(anchors(path)), match[1]


def anchors(page: Path) -> Iterator[str]:
    """Of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_and_make_targets_exist(page):
    for match in found(r"\bTRADEFLOW_[A-Z0-9_]+", page):
        name = match[0]
        known = name in VARIABLES or re.fullmatch(
            r"TRADEFLOW_FAUST_\w*|TRADEFLOW_SIMULATOR_URL|TRADEFLOW_", name
        )
        assert known or name in of_tests(), name
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for match in found(r"(?:^|`)make ([a-z-]+)", page):
        assert match[1] in targets, match[0]


@functools.cache
def of_tests() -> set[str]:
    """Variables that make a test longer."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    return {
        name for text in sources for name in re.findall(r'os\.environ\.get\("(TRADEFLOW_\w+)", "\d+"\)', text)
    }


def test_named_tests_exist():
    defined = {
        node.name
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    named = {(page, match[1]) for page in PAGES for match in found(r"`(test_\w+)`", page)}
    assert {(name_of(page), test) for page, test in named if test not in defined} == set()
    assert sum(name_of(page) == "docs/guarantees.md" for page, _ in named) > 60


def test_named_files_exist():
    for page in PAGES:
        for match in found(r"`((?:tradeflow|tables|tests|scripts|docs|bench)/[\w/.-]+)`", page):
            assert (ROOT / match[1]).exists(), (name_of(page), match[1])


def test_every_guarantee_names_its_test():
    table_rows = [match[0] for match in found(r"^\|.+?\|$", ROOT / "docs" / "guarantees.md")]
    rows = [row for row in table_rows if not re.fullmatch(r"\|[-|]+\||\| +\| Test \|", row)]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []


def test_every_view_is_documented_and_no_other():
    web = "".join(text for path, text in SOURCE.items() if path.parent.name == "web")
    views = set(re.findall(r'@page\("([^"]+)"\)', web))
    documented = {match[1] for match in found(r"^## GET (\S+)$", ROOT / "docs" / "web.md")}
    assert documented == views
    text = SOURCE[ROOT / "tradeflow" / "web" / "control.py"]
    documented = {match[1] for match in found(r"^## POST (\S+)$", ROOT / "docs" / "web.md")}
    assert documented == set(re.findall(r'@changes_state\("([^"]+)"\)', text))


def test_every_verb_is_documented():
    operations = TEXTS[ROOT / "docs" / "operations.md"]
    assert [verb for verb in OWN_VERBS if f"`tradeflow {verb}`" not in operations] == []


# --- risk ---


def test_the_risk_page_shows_the_limits_as_they_are():
    page = ROOT / "docs" / "risk.md"
    (example,) = found(r"^```toml\n(.*?)^```$", page)
    assert parse_limits(example[1]).default != Limits().default
    shown = {match[1]: match[2].replace(",", "") for match in found(r"^\| `(\w+)` \| ([\w,]+) \|", page)}
    limits = Limits()
    defaults = msgspec.structs.asdict(limits.default) | {"max_gross_notional": limits.max_gross_notional}
    assert shown == {key: "none" if value is None else str(value) for key, value in defaults.items()}


def test_the_risk_page_has_every_reason_in_its_order():
    (table,) = found(r"^## Reason codes$(.*?)^## ", ROOT / "docs" / "risk.md")
    rows = re.findall(r"^\| (`.*?`) \|", table[1], re.MULTILINE)
    assert tuple(re.findall(r"[A-Z_]+", " ".join(rows))) == get_args(ReasonCode)


# --- code ---


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_programs_are_the_files_that_tests_run(page):
    for match in found(r"(?:^<!-- (\S+) -->\n)?^```python\n(.*?)^```$", page):
        assert match[1], f"a program that no test runs: {match[2][:80]!r}"
        assert match[2] == (ROOT / match[1]).read_text(encoding="utf-8"), match[1]


def shown(page: Path) -> Iterator[dict]:
    for match in found(r"^```json\n(.*?)^```$", page):
        yield json.loads(match[1])


def returned_keys(function: str, module: str = "views") -> list[set[str]]:
    """The keys of the dicts that a function of the views returns; None stands for a `**`."""
    tree = ast.parse(SOURCE[ROOT / "tradeflow" / "web" / f"{module}.py"])
    (found,) = (node for node in ast.walk(tree) if getattr(node, "name", "") == function)
    returns = (node.value for node in ast.walk(found) if isinstance(node, ast.Return))
    dicts = (each for each in returns if isinstance(each, ast.Dict))
    return [{key.value if key else None for key in each.keys} for each in dicts]


def keys_of(record: type) -> set[str]:
    return {field.name for field in msgspec.structs.fields(record)}


def test_answers_are_shown_with_the_fields_that_they_have():
    seen = Counter()
    for page in PAGES:
        for answer in shown(page):
            for order in answer.get("orders", []) if "markets" not in answer else []:
                (more,) = returned_keys("with_status", "trading")
                assert msgspec.convert(order, Order) and order.keys() == keys_of(Order) | more - {None}
                seen["order"] += 1
            for execution in answer.get("executions", []) if "markets" not in answer else []:
                assert msgspec.convert(execution, Execution)
                assert execution.keys() == {*keys_of(Execution), "type"}
                seen["execution"] += 1
            for position in answer.get("positions", []):
                assert msgspec.convert(position, PositionRecord)
                assert position.keys() == {*keys_of(PositionRecord), "age_ms"}
                seen["position"] += 1
            for run in answer.get("strategies", []):
                assert [run.keys()] == returned_keys("_run", "trading")
                seen["run"] += 1
            for trade in answer.get("trades", []):
                assert msgspec.convert(trade, Trade) and trade.keys() == {*keys_of(Trade), "type"}
                seen["trade"] += 1
            for top in answer.get("books", []):
                assert msgspec.convert(top, TopOfBook) and top.keys() == {*keys_of(TopOfBook), "age_ms"}
                seen["top"] += 1
            if "levels" in answer:
                assert [answer.keys()] == returned_keys("_served")
                seen["book"] += 1
            if "markets" in answer:
                assert [answer.keys()] == returned_keys("worker_stats")
                seen["stats"] += 1
    kinds = {"order", "execution", "position", "run", "trade", "top", "book", "stats"}
    assert seen.keys() == kinds


# --- decisions and containers ---


def test_decisions_are_numbered_listed_and_whole():
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    index = TEXTS[ROOT / "docs" / "adr" / "README.md"]
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04}-")
        title = TEXTS[page].splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in index
        headings = [match[1] for match in found(r"^## (\w+)$", page)]
        assert headings == ["Context", "Decision", "Consequences"]
        assert "\nStatus: " in TEXTS[page]


def test_compose_and_dockerfile_use_what_exists():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    worker = compose["services"]["worker"]
    assert worker["environment"].keys() <= VARIABLES
    kafka = compose["services"]["kafka"]["environment"]
    assert worker["environment"]["KAFKA_BROKERS"] in kafka["KAFKA_ADVERTISED_LISTENERS"].removeprefix(
        "INSIDE://"
    )
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"\bTRADEFLOW_[A-Z_]+", dockerfile)) <= VARIABLES
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE):
        for path in copied.split():
            assert (ROOT / path).exists()
            assert f"!{path}" in allowed or path.startswith("requirements"), path
