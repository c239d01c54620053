"""Query parameters: what a view takes, with limits; whatever else comes is told, with what is allowed."""

from __future__ import annotations

from typing import Annotated

import pytest
from msgspec import UNSET, Meta, UnsetType
from multidict import MultiDict

from tradeflow.web.parameters import Query, read
from tradeflow.web.problems import BAD_PARAMETER, Problem


class Wanted(Query, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 7
    epoch: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    cursor: Annotated[str, Meta(min_length=1, max_length=5)] | UnsetType = UNSET


def wanted(**given: str) -> Wanted:
    return read(MultiDict(given), Wanted)


def refused(*given: tuple[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        read(MultiDict(given), Wanted)
    assert caught.value.kind is BAD_PARAMETER
    return caught.value


def test_parameters_and_their_defaults():
    assert wanted() == Wanted(limit=7)
    assert wanted(limit="100", epoch="0", cursor="null") == Wanted(limit=100, epoch=0, cursor="null")


@pytest.mark.parametrize(
    "text", ["0", "101", "-1", "+5", "5.5", "5 ", "", "٥", "9" * 5000, "null", "true", "0x5", "NaN"]
)
def test_a_bad_number_is_told_with_what_is_allowed(text):
    problem = refused(("limit", text))
    assert str(problem) == f"limit={text!r}: a whole number from 1 to 100 is needed"
    assert problem.body["parameter"] == "limit" and problem.body["value"] == text
    assert problem.body["allowed"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 7}


def test_what_is_needed_is_said_in_words():
    assert str(refused(("epoch", "x"))) == "epoch='x': a whole number from 0 on is needed"
    assert str(refused(("cursor", "toolong"))) == "cursor='toolong': a text of 1 to 5 characters is needed"


def test_a_parameter_that_is_not_there_is_told_with_those_that_are():
    says = "there is no parameter 'limits' here: it takes limit, epoch, cursor"
    assert str(refused(("limits", "3"))) == says
    with pytest.raises(Problem, match="here: it takes none"):
        read(MultiDict(limit="3"), Query)


def test_a_parameter_that_comes_twice_is_not_guessed_at():
    assert str(refused(("limit", "3"), ("limit", "3"))) == "limit is given 2 times: once is needed"
