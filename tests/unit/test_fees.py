"""Fees: published ones, the user's own, and what a fill is charged."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tables.instruments import Instrument
from tradeflow.execution.fees import PUBLISHED, TAKER_FEES, Fees, FeesError, charge, parse_fees
from tradeflow.settings import EXCHANGES

D = Decimal
BTC = Instrument(exchange="binance", symbol="BTC-USDT", base="BTC", quote="USDT")
XBTUSD = Instrument(
    exchange="bitmex", symbol="BTC-USD-PERP", base="BTC", quote="USD", contract="inverse", contract_value="1"
)

OWN = """
[[fee]]
exchange = "kraken"
since = 2025-01-01
maker = 0.0016
taker = 0.0026

[[fee]]
exchange = "kraken"
since = 2026-03-01
maker = "0.0010"
taker = "0.0020"

[[fee]]
exchange = "kraken"
symbol = "ETH-USDT"
since = 2025-06-01
maker = -0.0001
taker = 0.0005
paid_in = "received"
"""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_every_exchange_has_published_fees_with_a_date():
    assert {fee.exchange for fee in PUBLISHED} == set(EXCHANGES) == set(TAKER_FEES)
    for fee in PUBLISHED:
        assert D("-0.001") < fee.maker <= fee.taker < D("0.02")
        assert Fees().at(fee.exchange, "BTC-USDT", at("2026-01-01")) == fee


def test_the_fee_of_a_moment_is_the_last_that_had_begun():
    fees = parse_fees(OWN)
    found = [
        fees.at("kraken", "BTC-USDT", at(day)).taker for day in ("2024-01-01", "2026-02-28", "2026-03-01")
    ]
    assert found == [D("0.0026"), D("0.0026"), D("0.0020")]


def test_a_symbols_own_fee_goes_before_the_exchanges_and_own_ones_replace_the_published():
    fees = parse_fees(OWN)
    assert fees.at("kraken", "ETH-USDT", at("2026-06-01")).maker == D("-0.0001")
    assert fees.at("binance", "ETH-USDT", at("2026-06-01")) == Fees().at("binance", "ETH-USDT", 0)
    assert fees.at("okx", "ETH-USDT", 0) is None
    assert parse_fees("").at("kraken", "BTC-USDT", 0) == Fees().at("kraken", "BTC-USDT", 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fee = ", "not TOML"),
        ("[fees]", r"fees: write each entry as a table \[\[fee\]\]"),
        ("[fee]\nmaker = 1", r"fee: write each entry as a table \[\[fee\]\]"),
        ("fee = [3]", r"entry 1 of \[\[fee\]\]: Expected `object`, got `int`"),
        (OWN + "[[fee]]\nexchange = 'okx'", r"entry 4 of \[\[fee\]\]: Object missing required field `since`"),
        (OWN.replace("taker", "takes", 1), r"entry 1 of \[\[fee\]\]: .*`takes`"),
        (
            OWN.replace("0.0026", "0.26", 1),
            r"entry 1 of \[\[fee\]\]: taker = 0.26 is 26.00 %: write a fraction",
        ),
        (OWN.replace("0.0026", "nan", 1), r"entry 1 of \[\[fee\]\]: taker = NaN"),
        (OWN.replace('"received"', '"BNB"'), r"entry 3 of \[\[fee\]\]: Invalid enum value 'BNB'"),
        (OWN.replace("2026-03-01", "2025-01-01"), "two entries for kraken  2025-01-01: keep one"),
        (OWN.replace('"kraken"\nsymbol', '"okx"\nsymbol'), "okx has entries for single symbols only"),
    ],
)
def test_an_unusable_file_is_refused_with_the_entry_and_the_value(text, reason):
    with pytest.raises(FeesError, match=reason):
        parse_fees(text)


@pytest.mark.parametrize(
    ("exchange", "side", "liquidity", "expected"),
    [
        # Binance: 0.1 % of what the fill brings: 2 BTC, or 2 × 30,000 USDT.
        ("binance", "buy", "taker", (D("0.002"), "BTC")),
        ("binance", "sell", "taker", (D("60"), "USDT")),
        # Coinbase: always in quote; maker 0.4 %, taker 0.6 %.
        ("coinbase", "buy", "maker", (D("240"), "USDT")),
        ("coinbase", "sell", "taker", (D("360"), "USDT")),
    ],
)
def test_a_spot_fill_is_charged_exactly(exchange, side, liquidity, expected):
    fee = Fees().at(exchange, "BTC-USDT", 0)
    assert charge(fee, BTC, side, D(30000), D(2), liquidity) == expected


def test_an_inverse_contract_pays_in_base_and_a_rebate_is_negative():
    (fee,) = (fee for fee in PUBLISHED if fee.exchange == "bitmex")
    # 10,000 contracts of 1 USD at 50,000 are worth 0.2 BTC, of which 0.05 %.
    assert charge(fee, XBTUSD, "buy", D(50000), D(10000), "taker") == (D("0.0001"), "BTC")
    own = parse_fees(
        '[[fee]]\nexchange = "bitmex"\nsince = 2025-01-01\nmaker = -0.00025\ntaker = 0.00075\npaid_in = "received"'
    ).at("bitmex", "BTC-USD-PERP", 0)
    assert charge(own, XBTUSD, "buy", D(50000), D(10000), "maker") == (D("-0.00005"), "BTC")


def test_a_linear_contract_pays_in_quote():
    linear = Instrument(
        exchange="bitmex",
        symbol="ETH-USDT-PERP",
        base="ETH",
        quote="USDT",
        contract="linear",
        contract_value="0.01",
    )
    fee = Fees().at("bitmex", "ETH-USDT-PERP", 0)
    # 50 contracts of 0.01 ETH at 3,000 are worth 1,500.
    assert charge(fee, linear, "buy", D(3000), D(50), "taker") == (D("0.75"), "USDT")
