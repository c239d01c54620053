"""Answers: errors say what to do, whoever gives them; what is known already is not sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from tradeflow.web.answers import Passed, Tagged, answer, pass_on, tagged, told, told_by_status
from tradeflow.web.problems import KINDS, NOT_READY, UNKNOWN_BOOK, Problem


def body(response: Any) -> Any:
    return json.loads(response.body)


def test_who_is_to_ask_again_is_told_when_wherever_the_answer_comes_from():
    ours = told(Problem(NOT_READY, "ask again in a second", partition=2))
    theirs = pass_on(Passed(ours.body, ours.content_type, ours.status))
    for said in (ours, theirs):
        assert (said.status, said.content_type) == (503, "application/problem+json")
        assert said.headers["Retry-After"] == "1"
        assert body(said) == {
            "type": "/problems/not-ready",
            "title": "not ready",
            "status": 503,
            "detail": "ask again in a second",
            "partition": 2,
        }
    assert "Retry-After" not in told(Problem(UNKNOWN_BOOK, "no such book", known=[])).headers
    assert answer({"a": 1}).body == b'{"a":1}'


def test_what_no_view_has_looked_at_says_no_more_than_its_status():
    said = told_by_status(417)
    assert said.content_type == "application/problem+json"
    assert body(said) | {"detail": ""} == {
        "type": "about:blank",
        "title": "Expectation Failed",
        "status": 417,
        "detail": "",
    }


def test_every_kind_of_problem_has_a_name_of_its_own_and_says_what_it_means():
    assert len(KINDS) > 25
    for name, kind in KINDS.items():
        assert kind.type == f"/problems/{name}"
        assert name == name.lower() and " " not in name
        assert 400 <= kind.status < 600 and kind.meaning.endswith(".")


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (None, 200),
        ('W/"1-5"', 304),
        ('"1-5"', 304),
        ('"0-4", W/"1-5"', 304),
        ("*", 304),
        ('W/"1-4"', 200),
        ("1-5", 200),
    ],
)
def test_who_has_it_already_is_told_so(known, status):
    headers = {} if known is None else {"If-None-Match": known}
    response = tagged(make_mocked_request("GET", "/", headers=headers), Tagged({"a": 1}, "1-5"))
    assert response.status == status
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == ('W/"1-5"', "no-cache")
    assert bool(response.body) == (status == 200)


def test_another_workers_tag_is_passed_on():
    headers = {"ETag": 'W/"1-5"', "Cache-Control": "no-cache"}
    for status, sent in ((200, b"{}"), (304, b"")):
        response = pass_on(Passed(sent, "application/json", status, headers))
        assert (response.status, response.headers["ETag"]) == (status, 'W/"1-5"')
        assert response.headers["Cache-Control"] == "no-cache"
