"""Market: trades are published once, whoever sends them again."""

from __future__ import annotations

import pytest
from market_log import new_log, restarted, trade


@pytest.fixture
def log():
    return new_log()


def test_a_trade_is_published_once(log):
    (said,) = log(trade(0, trade_id="a"))["trades"]
    assert said == trade(0, trade_id="a")
    assert not log(trade(0, trade_id="a")), "written again"
    assert not log(trade(1, trade_id="a")), "sent again by the exchange"
    assert not log(trade(0, epoch=2, trade_id="a")), "sent again on a reconnect"
    assert log(trade(1, epoch=2, trade_id="b"))
    assert not log(trade(9, epoch=1, trade_id="c")), "of an epoch that is over"
    assert log(trade(0, exchange="kraken", trade_id="a")), "ids belong to an exchange"
    assert len(log(trade(2, epoch=2), trade(3, epoch=2))["trades"]) == 2, "without ids the numbers count"
    assert log.market.counts["duplicates"] == 4


def test_known_trades_outlive_a_restart(log):
    log(trade(0, trade_id="a"), trade(1, trade_id="b"))
    log = restarted(log)
    assert not log(trade(1, trade_id="x")), "its number is known"
    assert not log(trade(2, trade_id="a")), "its id is known"
    assert log(trade(3, trade_id="c"))


def test_known_ids_are_bounded(log):
    for number in range(1500):
        assert log(trade(number, trade_id=str(number)))
    assert not log(trade(1500, trade_id="1499"))
    assert not log(trade(1501, trade_id="500"))
    assert log(trade(1502, trade_id="499")), "forgotten"
    stored = log.market.take_dirty()["strategy_states", "trades/binance/BTC-USDT"]
    assert len(stored) < 10_000
