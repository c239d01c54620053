"""The OpenAPI document: of all views that there are, whole, and valid."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis

ROOT = Path(__file__).parents[2]
PRINT = """
import json
from tradeflow import service
web = service.app.web
web.init_server()
routes = sorted({(route.method.lower(), route.resource.canonical) for route in web.web_app.router.routes()})
print(json.dumps([routes, json.loads(service.about.described())]))
"""


@pytest.fixture(scope="module")
def routes_and_document() -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Of the web server of an app with all its views, in a process of its own, for an app there can be but once."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    routes, document = json.loads(done.stdout)
    return [tuple(route) for route in routes], document


@pytest.fixture(scope="module")
def document(routes_and_document: tuple[Any, dict[str, Any]]) -> dict[str, Any]:
    return routes_and_document[1]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_view_is_in_it_and_no_other(routes_and_document: tuple[list[tuple[str, str]], Any]) -> None:
    routes, document = routes_and_document
    described = {(method, path) for method, path, _ in operations(document)}
    heads = {("head", path) for method, path in described if method == "get"}
    assert set(routes) == described | heads
    assert len(described) > 20


def test_it_is_valid(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_every_parameter_has_its_limits(document: dict[str, Any]) -> None:
    seen = 0
    for _, path, operation in operations(document):
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        for one in operation["parameters"]:
            if one["schema"].get("type") == "integer":
                assert "minimum" in one["schema"], (path, one)
                assert one["schema"].keys() & {"maximum", "exclusiveMaximum"}, (path, one)
                seen += 1
    assert seen > 10


def test_every_list_is_read_in_parts(document: dict[str, Any]) -> None:
    """A view that answers with rows and takes no limit would grow with them."""
    schemas, lists = document["components"]["schemas"], set()
    for _, path, operation in operations(document):
        content = operation["responses"]["200"]["content"].get("application/json", {"schema": {}})
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        takes = {one["name"] for one in operation["parameters"]}
        if "next" in schemas.get(name, {}).get("properties", {}):
            assert {"limit", "cursor"} <= takes, path
            lists.add(path)
        else:
            assert not {"limit", "cursor"} & takes, path
    assert lists == {
        *("/books", "/trades/{symbol}", "/instruments", "/feeds"),
        *("/orders", "/executions", "/positions", "/strategies"),
    }


def test_what_changes_something_needs_the_token_and_errors_are_problems(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert ("security" in operation) == (method == "post"), path
        responses = operation["responses"]
        assert {"400", "500"} | (
            {"401", "403", "408", "413"} if method == "post" else set()
        ) <= responses.keys()
        for status, response in responses.items():
            if status >= "400":
                assert response["content"].keys() == {"application/problem+json"}, (path, status)
                for example in response["content"]["application/problem+json"]["examples"].values():
                    assert example["value"]["status"] == int(status)


def test_what_docstrings_say_is_in_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ServedOrder"]["description"] == "An order, and what has become of it."
    assert schemas["ServedOrder"]["properties"]["price"]["description"] == "None for a MARKET order."
    assert schemas["ServedBook"]["properties"]["bids"]["description"] == "Best first."
