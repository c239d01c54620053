"""Who may change something over HTTP."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from tradeflow.web.access import authorize, is_loopback
from tradeflow.web.answers import Passed, pass_on
from tradeflow.web.problems import Problem

TOKEN = SecretStr("0123456789abcdef")


def request(*authorization):
    return SimpleNamespace(headers=dict.fromkeys(["Authorization"][: len(authorization)], *authorization))


@pytest.mark.parametrize("header", ["Bearer 0123456789abcdef", "bearer  0123456789abcdef "])
def test_who_has_the_token_may(header):
    authorize(request(header), TOKEN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0",
        "Bearer 0123456789ABCDEF",
        "Basic 0123456789abcdef",
        "0123456789abcdef",
        "Bearer 0123456789abcde\udcff",
    ],
)
def test_who_has_another_may_not_and_does_not_see_it(header):
    with pytest.raises(Problem, match="Authorization: Bearer") as caught:
        authorize(request(header), TOKEN)
    assert caught.value.kind.status == 401
    assert TOKEN.get_secret_value() not in str(caught.value.body)
    with pytest.raises(Problem):
        authorize(request(), TOKEN)


def test_without_a_token_nobody_may_and_is_told_how():
    with pytest.raises(Problem, match="set TRADEFLOW_TOKEN to a text") as caught:
        authorize(request("Bearer "), None)
    assert caught.value.kind.status == 403


def test_the_scheme_is_named_where_it_is_asked_for():
    assert pass_on(Passed(b"", "application/json", 401)).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("worker-1", False),
    ],
)
def test_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected
