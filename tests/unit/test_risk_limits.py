from __future__ import annotations

from decimal import Decimal

import pytest

from tradeflow.risk import Limits, LimitsError, check_reserves, parse_limits

EVERYTHING = """
max_gross_notional = 250_000
[rates]
BTC = 65000
[default]
price_collar_pct = 0.5
max_order_size = "none"
max_position = 3
[exchange.kraken]
max_position = "1.5"
max_open_orders = 5
[symbol.BTC-USDT]
max_position = 2
[strategy.arbitrage]
max_order_size = 0.1
price_collar_pct = 1
"""


def test_an_empty_file_is_the_defaults():
    assert parse_limits("") == Limits()


def test_numbers_are_exact_with_and_without_quotes():
    limits = parse_limits(EVERYTHING)
    assert limits.max_gross_notional == 250_000
    assert limits.rates["BTC"] == 65_000 and limits.rates["USDT"] == 1
    assert limits.default.price_collar_pct == Decimal("0.5")
    assert limits.exchanges["kraken"]["max_position"] == Decimal("1.5")


def test_the_narrower_section_counts():
    limits = parse_limits(EVERYTHING)
    assert limits.of("binance", "ETH-USDT", "s").max_position == 3
    assert limits.of("kraken", "ETH-USDT", "s").max_position == Decimal("1.5")
    assert limits.of("kraken", "BTC-USDT", "s").max_position == 2
    assert limits.of("kraken", "BTC-USDT", "s").max_open_orders == 5


def test_a_strategys_section_only_tightens():
    limits = parse_limits(EVERYTHING)
    bounds = limits.of("binance", "BTC-USDT", "arbitrage")
    assert bounds.max_order_size == Decimal("0.1"), "there was no limit"
    assert bounds.price_collar_pct == Decimal("0.5"), "1 would be wider"
    assert bounds.max_order_notional == 10_000
    loose = parse_limits('[strategy.a]\nmax_order_notional = "none"').of("binance", "BTC-USDT", "a")
    assert loose.max_order_notional == 10_000


def test_a_plain_agent_has_a_section_of_its_own():
    limits = parse_limits("[agent.spread-maker]\nmax_order_size = 2", strategies=["imbalance"])
    assert limits.of("binance", "BTC-USDT", "spread-maker").max_order_size == 2
    assert limits.of("binance", "BTC-USDT", "imbalance").max_order_size is None


def test_symbols_may_be_written_as_everywhere():
    limits = parse_limits('[symbol."btc/usdt"]\nmax_open_orders = 1')
    assert limits.of("binance", "BTC-USDT", "s").max_open_orders == 1


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "max_position = 3",
            "risk.toml: max_position is not known; known keys: max_gross_notional; sections:",
        ),
        ("[defaults]", "risk.toml: defaults is not known"),
        ("[default]\nmax_positon = 3", "[default] max_positon is not known; known keys: price_collar_pct, "),
        (
            "[default]\nmax_position = -3",
            '[default] max_position = -3: must be a number, 0 or more, or "none"',
        ),
        ("[default]\nmax_position = nan", "[default] max_position = NaN: must be a number, 0 or more"),
        ("[default]\nmax_position = 1e70", "[default] max_position = 1E+70: must be a number"),
        ("[default]\nmax_position = true", "[default] max_position = True: must be a number"),
        ('[default]\nmax_position = "no"', "[default] max_position = 'no': must be a number, 0 or more"),
        ("[default]\nmax_open_orders = 1.5", "max_open_orders = 1.5: must be a whole number, 0 or more, or"),
        (
            '[default]\nprice_collar_pct = "none"',
            "price_collar_pct = 'none': must be a number above 0 and below",
        ),
        (
            "[default]\nprice_collar_pct = 100",
            "price_collar_pct = 100: must be a number above 0 and below 100",
        ),
        ("[default]\nfee_reserve_pct = 100", "fee_reserve_pct = 100: must be a number, 0 or more, below 100"),
        ("[rates]\nBTC = 0", "[rates] BTC = 0: must be a number above 0"),
        (
            "[strategy.a]\nmax_position = 1",
            "[strategy.a] max_position is not known; known keys: price_collar",
        ),
        ("[strategy]\na = 1", "risk.toml: strategy.a = 1 is no section: write [strategy.a] above its keys"),
        ("default = 1", "risk.toml: default = 1 is no section: write [default] above its keys"),
        ("[exchange.krakn]", "risk.toml: [exchange.krakn]: there is no such exchange, but binance, kraken"),
        ("[symbol.BTC-UDST]", "risk.toml: [symbol.BTC-UDST]: there is no such symbol, but BTC-USDT"),
        (
            "[strategy.imbalanse]",
            "risk.toml: [strategy.imbalanse]: there is no such strategy, but a, imbalance",
        ),
        ("[symbol.FOO]", "risk.toml: [symbol.FOO]: 'FOO' is not a symbol: write it as BTC-USDT"),
        ("[symbol.BTC-USDT]\n[symbol.BTCUSDT]", "[symbol.BTCUSDT]: BTC-USDT has a section already; keep one"),
        ('[agent."a b"]', "risk.toml: [agent.a b]: a plain agent's name has 1 to 64 letters"),
        ("[agent.a]\n[strategy.a]", "risk.toml: a is a strategy and an agent: keep one section"),
        ("[default", "risk.toml is no TOML: "),
        (f"max_gross_notional = {'9' * 5000}", "risk.toml has a number that can't be read: "),
    ],
)
def test_what_is_unclear_is_refused(toml, message):
    known = {"exchanges": ["kraken", "binance"], "symbols": ["BTC-USDT"], "strategies": ["imbalance", "a"]}
    with pytest.raises(LimitsError) as caught:
        parse_limits(toml, **known)
    assert message in str(caught.value)


def test_the_file_is_named_as_it_was_given():
    with pytest.raises(LimitsError, match=r"^conf/my\.toml: x is not known"):
        parse_limits("x = 1", "conf/my.toml")


def test_every_value_can_be_shown_by_its_place():
    shown = parse_limits(EVERYTHING).described()
    assert shown["max_gross_notional"] == "250000"
    assert shown["[default] max_order_size"] == "none"
    assert shown["[symbol.BTC-USDT] max_position"] == "2"
    assert shown["[rates] BTC"] == "65000"
    assert shown["[strategy.arbitrage] price_collar_pct"] == "1"


def test_what_is_reserved_must_cover_the_fee():
    limits = parse_limits("[exchange.coinbase]\nfee_reserve_pct = 0.6")
    check_reserves(
        limits, {("coinbase", "BTC-USD"): Decimal("0.006"), ("kraken", "BTC-USD"): Decimal("0.01")}
    )
    with pytest.raises(LimitsError) as caught:
        check_reserves(limits, {("coinbase", "BTC-USD"): Decimal("0.0065")})
    assert str(caught.value) == (
        "risk.toml: fee_reserve_pct is 0.6 for coinbase BTC-USD, whose fee is 0.65 %: set it to 0.65 or more"
    )
