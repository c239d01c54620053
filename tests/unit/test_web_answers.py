"""Answers: parameters are checked, and errors say what to do, whoever gives them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tradeflow.web.answers import Passed, Problem, answer, integer, pass_on, problem


class View:
    """Keeps the parts of an answer."""

    def bytes(self, body, *, content_type, status, headers=None):
        return SimpleNamespace(body=body, content_type=content_type, status=status, headers=headers or {})


@pytest.mark.parametrize("text", ["0", "101", "-1", "+5", "5.0", "5 ", "", "٥", "9" * 5000])
def test_a_bad_parameter_is_told_with_what_is_allowed(text):
    with pytest.raises(Problem, match=r"^limit='.*': a whole number from 1 to 100 is needed") as caught:
        integer(SimpleNamespace(query={"limit": text}), "limit", 7, 100)
    assert caught.value.status == 400


def test_a_parameter_and_its_default():
    assert integer(SimpleNamespace(query={"limit": "100"}), "limit", 7, 100) == 100
    assert integer(SimpleNamespace(query={}), "limit", 7, 100) == 7


def test_who_is_to_ask_again_is_told_when_wherever_the_answer_comes_from():
    ours = problem(View(), Problem(503, "not ready", "ask again in a second"))
    theirs = pass_on(View(), Passed(ours.body, ours.content_type, ours.status))
    for said in (ours, theirs):
        assert (said.status, said.content_type) == (503, "application/problem+json")
        assert said.headers == {"Retry-After": "1"}
        assert json.loads(said.body) == {
            "status": 503,
            "title": "not ready",
            "detail": "ask again in a second",
        }
    assert problem(View(), Problem(404, "unknown", "no such book", known=[])).headers == {}
    assert answer(View(), {"a": 1}).body == b'{"a":1}'
