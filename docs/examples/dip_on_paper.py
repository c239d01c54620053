"""The dip's second test: with the risk gate and the paper exchange."""

from decimal import Decimal

from dip import Dip

from tradeflow import Trial


def test_dip_on_paper():
    trial = Trial(Dip(), paper=True, risk="[default]\nmax_order_size = 1")
    trial.book("binance", bid="99", ask="101")
    trial.book("binance", bid="98", ask="100")
    trial.advance(seconds=1)  # there, 50 ms, and back
    assert [one.status for one in trial.executions] == ["SUBMITTED", "ACCEPTED", "FILLED"]
    assert trial.positions["binance", "BTC-USDT"].size == Decimal("0.01")
