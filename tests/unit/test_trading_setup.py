"""risk.toml, fees.toml and balances.toml, put together for a worker."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradeflow.partitions import load_maps
from tradeflow.settings import SettingsError, load_settings
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.worker.trading_setup import PAPER_BALANCES, TradingSetup, read_trading

BOOKS = [("binance", "BTC-USDT"), ("binance", "ETH-USDT"), ("kraken", "BTC-USDT")]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def setup(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        return TradingSetup(read_trading(load_settings()), load_maps().symbols, BOOKS, [Imbalance()])

    return setup


def test_without_files_there_is_enough_to_begin_with(setup):
    one = setup()
    halved = PAPER_BALANCES["USDT"] / 2
    assert one.balances["binance", "BTC-USDT"] == {"USDT": halved, "BTC": PAPER_BALANCES["BTC"]}
    assert one.balances["kraken", "BTC-USDT"]["USDT"] == PAPER_BALANCES["USDT"]
    assert one.limits.default.max_open_orders == 20
    assert one.terms()["fees"] == "published"


def test_files_in_the_directory_of_the_start_count(setup):
    one = setup(
        risk="[default]\nmax_open_orders = 3",
        balances="[binance]\nusdt = 10\nBTC = 0.5",
        fees='[[fee]]\nexchange = "kraken"\nsince = 2020-01-01\nmaker = 0.0\ntaker = 0.001',
    )
    assert one.limits.default.max_open_orders == 3
    assert one.balances["binance", "BTC-USDT"] == {"USDT": Decimal(5), "BTC": Decimal("0.5")}
    assert one.balances["binance", "ETH-USDT"]["ETH"] == 0, "what the section doesn't name isn't there"
    other = setup(risk="", fees="", balances="")
    differing = {key for key, value in one.terms().items() if other.terms().get(key) != value}
    assert {"fees", "limit [default] max_open_orders", "balance binance USDT"} <= differing


def test_the_reserve_covers_the_highest_fee_whenever_it_applies(setup):
    entry = '[[fee]]\nexchange = "kraken"\nsince = {}\nmaker = 0.0\ntaker = {}\n'
    with pytest.raises(SettingsError, match=r"fee_reserve_pct is 1 for kraken BTC-USDT, whose fee is 2 %"):
        setup(fees=entry.format("2024-01-01", "0.02") + entry.format("2025-01-01", "0.001"))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"risk": "max_open = 1"}, "risk.toml: max_open is not known"),
        ({"risk": "[strategy.nobody]\nmax_order_size = 1"}, "no such strategy, but imbalance"),
        ({"risk": "[default]\nfee_reserve_pct = 0"}, "fee_reserve_pct is 0 for binance"),
        ({"fees": "[[fee]]\nexchange = 1"}, "fees.toml: entry 1"),
        ({"balances": "[okx]\nUSDT = 1"}, r"balances.toml: \[okx\] is none of .*: binance, kraken"),
        (
            {"balances": "[kraken]\nUSDT = -1"},
            r"balances.toml: \[kraken\] USDT = -1: must be a number, 0 or more",
        ),
        ({"balances": "[kraken"}, "balances.toml is no TOML"),
    ],
)
def test_what_can_not_be_used_is_refused(setup, files, says):
    with pytest.raises(SettingsError, match=says):
        setup(**files)


def test_a_file_that_is_named_must_be_there(setup, monkeypatch):
    monkeypatch.setenv("TRADEFLOW_RISK_FILE", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"nowhere.toml can't be read"):
        setup()
