"""Histories of random orders and markets: what passes the gate breaks no limit, and what it denies had to be denied.

More of them: TRADEFLOW_RISK_ORDERS=100000 for this module."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from decimal import Decimal

import pytest
from risk_story import ORDERS_A_STORY, RANKS, Story

from tradeflow.risk import Denial, RiskGate, checks, gate

ORDERS = int(os.environ.get("TRADEFLOW_RISK_ORDERS", "10000"))


def test_nothing_that_breaks_a_limit_passes_and_each_denial_is_right():
    codes = Counter[str]()
    for seed in range(ORDERS // ORDERS_A_STORY):
        codes += Story(seed).play()
    assert codes.total() == ORDERS
    assert codes.keys() == {"passed", "CANCEL", *RANKS}, (
        "stories that never come to something show nothing of it"
    )
    assert codes["passed"] > ORDERS / 10


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_stories_would_notice_a_check_that_is_missing(check, monkeypatch):
    monkeypatch.setattr(gate, "CHECKS", tuple(one for one in checks.CHECKS if one is not check))
    fails()


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_and_one_that_denies_too_much(check, monkeypatch):
    def stricter(case):
        return check(case) or Denial(check.__name__.upper(), "1", "1", "1")

    monkeypatch.setattr(gate, "CHECKS", tuple(stricter if one is check else one for one in checks.CHECKS))
    fails()


@pytest.mark.parametrize("share", [0, Decimal("0.5")])
def test_and_a_gate_that_hopes_that_open_orders_fill_in_part(share, monkeypatch):
    def hoped(account):
        exposure = exposure_of(account)
        return exposure._replace(buys=exposure.buys * share, sells=exposure.sells * share)

    exposure_of = checks.Exposure.of
    monkeypatch.setattr(checks.Exposure, "of", hoped)
    fails()


def test_and_one_that_remembers_no_orders(monkeypatch):
    restore = RiskGate.restore

    def forget(self, value):
        restore(self, value)
        self._passed.clear()

    monkeypatch.setattr(RiskGate, "restore", forget)
    fails()


def fails() -> None:
    with pytest.raises(AssertionError):
        for seed in itertools.islice(itertools.count(), 100):
            Story(seed).play()
