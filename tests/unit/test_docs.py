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

from scripts.reference import files
from scripts.reference.settings import WITHOUT_EFFECT
from scripts.reference.topics import TOPICS, general_name
from tradeflow.commands.table import OWN_VERBS
from tradeflow.messages import Execution, Trade
from tradeflow.partitions import load_maps
from tradeflow.risk import Limits, ReasonCode, parse_limits
from tradeflow.settings import Settings, environment_name
from tradeflow.topics import topic_specs
from tradeflow.web import served
from tradeflow.web.problems import KINDS

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
    checked = {"settings.py", "configuration.py"}  # what only looks whether it is valid
    used = any(use.search(text) for path, text in SOURCE.items() if path.name not in checked)
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


def test_every_page_can_be_reached_from_the_index():
    seen, new = set(), {ROOT / "docs" / "README.md"}
    while new:
        seen |= new
        targets = {
            (page.parent / match[1]).resolve() for page in new for match in found(r"\]\(([^)\s#]+\.md)", page)
        }
        new = {target for target in targets if ROOT / "docs" in target.parents} - seen
    assert {name_of(page) for page in PAGES if page != ROOT / "README.md"} == {name_of(page) for page in seen}


def test_the_index_says_which_pages_are_run():
    marked = set(re.findall(r"▷ \[[^\]]+\]\(([^)]+)\)", TEXTS[ROOT / "docs" / "README.md"]))
    sessions = (ROOT / "tests" / "documents" / "test_sessions.py").read_text(encoding="utf-8")
    assert marked == set(re.findall(r'"([\w/-]+\.md)"', sessions))


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
            r"TRADEFLOW_FAUST_\w*|TRADEFLOW_SIMULATOR_URL|TRADEFLOW_BINANCE_US_(REST|WS)_URL|TRADEFLOW_", name
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
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))
    views = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert {match[1] for match in found(r"^## ((?:GET|POST) \S+)$", ROOT / "docs" / "web.md")} == views


def test_every_kind_of_problem_is_documented_and_no_other():
    rows = found(r"^\| (\d+) \| `([a-z-]+)` \|", ROOT / "docs" / "web.md")
    assert {match[2]: int(match[1]) for match in rows} == {name: kind.status for name, kind in KINDS.items()}


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


def keys_of(record: type) -> set[str]:
    tag = {"type"} if record.__struct_config__.tag else set()
    return tag | {field.encode_name for field in msgspec.structs.fields(record)}


SHOWN = {
    "orders": served.ServedOrder,
    "executions": Execution,
    "positions": served.ServedPosition,
    "strategies": served.StrategyRun,
    "trades": Trade,
    "books": served.ListedBook,
    "instruments": served.ServedInstrument,
    "feeds": served.FeedStatus,
}


def test_answers_are_shown_with_the_fields_that_they_have():
    seen = Counter()
    for page in PAGES:
        for answer in shown(page):
            if "markets" in answer or "levels" in answer:
                kind = served.WorkerStats if "markets" in answer else served.ServedBook
                assert msgspec.convert(answer, kind) and answer.keys() == keys_of(kind)
                seen[kind] += 1
                continue
            for name, kind in SHOWN.items():
                keys = kind.__annotations__.keys() if kind is served.FeedStatus else keys_of(kind)
                for row in answer.get(name, []):
                    assert msgspec.convert(row, kind) and row.keys() == keys, (name_of(page), name)
                    seen[kind] += 1
            if "type" in answer and "detail" in answer:
                kind = KINDS[answer["type"].removeprefix("/problems/")]
                assert (answer["status"], answer["title"]) == (kind.status, kind.title)
                seen["problem"] += 1
    assert seen.keys() == {*SHOWN.values(), served.WorkerStats, served.ServedBook, "problem"}


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
