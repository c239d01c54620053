"""Workers that only run feeds and workers that only run books and strategies: two groups, one system."""

from __future__ import annotations

import time
import urllib.error
from pathlib import Path

import pytest

from tests.faults.cluster import until
from tradeflow.demo.stack import Stack, get
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_feeds_and_strategies_in_workers_of_their_own(tmp_path: Path) -> None:
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path,
        simulator_options=("--rate", "60", "--depth", "50"),
    )
    stack.env["TRADEFLOW_ROLE"] = "strategies"
    with stack:
        feeds_port = free_port()
        stack.start_worker(feeds_port, TRADEFLOW_ROLE="feeds")

        def live() -> bool:
            return all(book["state"] == "live" for book in stack.get("/books")["books"])

        until(live, 40, "every book is live")
        assert stack.get("/feeds")["feeds"] == []
        assert len(get(f"http://127.0.0.1:{feeds_port}/feeds")["feeds"]) == 4
        # The lists of a feeds-only worker are as good as another's; it has no books.
        assert len(get(f"http://127.0.0.1:{feeds_port}/books")["books"]) == 15
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"http://127.0.0.1:{feeds_port}/books/binance/BTC-USDT")
        assert caught.value.code == 404
        assert "only runs feeds (TRADEFLOW_ROLE): ask one with another role" in caught.value.read().decode()
        until(lambda: stack.get("/orders")["orders"], 60, "orders come")
        time.sleep(0.5)
        stack.check()
