"""What a running worker keeps in Redis is what it serves."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from tests.faults.cluster import until
from tradeflow.demo.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_redis_has_the_books_that_the_worker_serves(stack: Stack) -> None:
    if "REDIS_URL" not in stack.env:
        pytest.skip("needs Redis: apt install redis-server, or brew install redis")
    redis: Any = Redis.from_url(stack.env["REDIS_URL"], decode_responses=True)
    books = [(book["exchange"], book["symbol"]) for book in stack.get("/books")["books"]]
    keys = {f"tradeflow:top:{exchange}:{symbol}" for exchange, symbol in books}
    until(lambda: set(redis.keys()) == keys, 20, "every book is there, and nothing else")

    def equal(exchange: str, symbol: str) -> bool:
        """Both as of the same record, which takes a moment in which the book stands still."""
        found = redis.hgetall(f"tradeflow:top:{exchange}:{symbol}")
        served = stack.get(f"/books/{exchange}/{symbol}?depth=1")
        if (found["epoch"], found["sequence"]) != (str(served["epoch"]), str(served["sequence"])):
            return False
        assert found["state"] == served["state"] == "live"
        assert [found["bid"], found["bid_size"]] == served["bids"][0]
        assert [found["ask"], found["ask_size"]] == served["asks"][0]
        assert found["worker"] == stack.web_url
        assert found["partition"] == str(served["kafka"]["partition"])
        return True

    for place in books:
        until(lambda place=place: equal(*place), 20, f"{place} is the same in both")
