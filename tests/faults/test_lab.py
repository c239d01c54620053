"""The short form of the fault laboratory: a handful of faults in one system; `make faults` runs them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.lab.__main__ import settle_orders
from tests.faults.lab.oracle import Oracle
from tests.faults.lab.system import QUIET, System
from tests.faults.lab.table import SHORT, chosen
from tests.faults.lab.trial import Laboratory

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def test_no_live_book_is_wrong_whatever_fails(tmp_path: Path) -> None:
    with System(tmp_path) as system:
        with Oracle(system.truth_url, system.places, system.urls, old_after=QUIET) as oracle:
            laboratory = Laboratory(system, oracle)
            laboratory.run(chosen(SHORT), share=0)  # each once
            compared = oracle.comparisons
        orders = settle_orders(system)
    # How soon is for `make faults` to say, on a machine that does nothing else.
    assert not any(None in (*line.to_flag, *line.to_live) for line in laboratory.lines), laboratory.lines
    assert oracle.bad == 0, oracle.first
    assert compared > 500
    assert set(oracle.by_exchange) == {"binance", "bitmex", "coinbase", "kraken"}
    assert oracle.counts["forgotten"] == 0, oracle.first
    assert orders.good, orders
