"""What exchanges say of their instruments, from their answers to the records of the feeds."""

from __future__ import annotations

import asyncio

import pytest
from cryptofeed.exchanges import OKX
from feed_server import Records, until
from yapic import json as cryptofeed_json

from tests.plain_books import DIRECTORY
from tradeflow.feeds.binance import BinanceFeed
from tradeflow.feeds.bitmex import BitmexFeed
from tradeflow.feeds.coinbase import CoinbaseFeed
from tradeflow.feeds.digits import said
from tradeflow.feeds.instruments import parsed
from tradeflow.feeds.recorded import Recording
from tradeflow.feeds.registry import make_source
from tradeflow.messages import Listing
from tradeflow.settings import load_settings
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator

SPOT = {"kind": "spot", "base": "BTC", "quote": "USDT"}
SIMULATED = {
    ("binance", "BTC-USDT"): Listing(**SPOT, tick="0.01000000", lot="0.00001000", min_notional="5.00000000"),
    ("coinbase", "BTC-USDT"): Listing(**SPOT, tick="0.01", lot="0.00000001", min_notional="1"),
    ("kraken", "BTC-USDT"): Listing(**SPOT, tick="0.1", lot="0.00000001", min_notional="0.5"),
    ("bitmex", "BTC-USD-PERP"): Listing(
        kind="inverse", base="BTC", quote="USD", tick="0.5", lot="100", multiplier="1", settle="BTC"
    ),
    ("bitmex", "ETH-USD-PERP"): Listing(
        kind="quanto", base="ETH", quote="USD", tick="0.05", lot="1", multiplier="0.000001", settle="BTC"
    ),
}


@pytest.mark.parametrize(("exchange", "symbol"), SIMULATED)
async def test_each_connection_begins_with_what_the_exchange_says_of_its_instruments(exchange, symbol):
    async with Simulator(Market(rate=10, depth=10)) as simulator:
        endpoints = {
            name.removeprefix("TRADEFLOW_").lower(): url for name, url in simulator.endpoints.items()
        }
        endpoints.pop("simulator_url")
        records = Records()
        run = make_source(exchange, [symbol], load_settings(**endpoints)).run(records)
        task = asyncio.create_task(run)
        await until(lambda: records.of("book") or task.done())
        task.cancel()
        await asyncio.wait([task])
    assert records.events[0][0] == "instrument", "before the first snapshot"
    (told,) = records.of("instrument")
    assert (told["listing"], told["receipt_time"] > 0) == (SIMULATED[exchange, symbol], True)


@pytest.mark.recordings
@pytest.mark.skipif(not DIRECTORY.exists(), reason="no recordings here")
@pytest.mark.parametrize(
    ("feed_class", "name", "listing"),
    [
        (BinanceFeed, "ETHBTC", {"tick": "0.00000100", "lot": "0.00010000", "min_notional": "0.00010000"}),
        (CoinbaseFeed, "BTC-USD", {"tick": "0.01", "lot": "0.00000001", "min_notional": "1"}),
        (BitmexFeed, "XBTUSD", {"kind": "inverse", "tick": "0.5", "lot": "100", "multiplier": "1"}),
        (BitmexFeed, "ADAUSDT", {"kind": "quanto", "tick": "0.00001", "lot": "1", "multiplier": "0.01"}),
        (BitmexFeed, "XRPU21", {"kind": "linear", "tick": "0.00000001", "multiplier": "1", "settle": "BTC"}),
    ],
)
def test_terms_as_exchanges_have_written_them(feed_class, name, listing):
    instruments = parsed(feed_class, Recording(DIRECTORY, feed_class.id).instruments())
    found = instruments.listings[name]
    assert {field: getattr(found, field) for field in listing} == listing


def test_what_an_exchange_does_not_say_is_none():
    entry = {"symbol": "XBTUSD", "rootSymbol": "XBT", "quoteCurrency": "USD", "typ": "FFWCSX", "expiry": None}
    entry |= {"tickSize": 0, "isQuanto": False, "isInverse": True, "settlCurrency": "doubloons"}
    bodies = [cryptofeed_json.loads(f"[{cryptofeed_json.dumps(entry)}]")]
    found = parsed(BitmexFeed, bodies).listings["XBTUSD"]
    assert found == Listing(kind="inverse", base="BTC", quote="USD", settle="doubloons")
    assert (said(None), said("0.00000000"), said("1E-7")) == (None, None, "0.0000001")


@pytest.mark.parametrize(("units", "multiplier"), [(1_000_000, "0.000001"), (3, None), (None, None)])
def test_a_contract_without_an_exact_value_has_none(units, multiplier):
    entry = {
        "symbol": "XBTUSDT",
        "rootSymbol": "XBT",
        "quoteCurrency": "USDT",
        "typ": "FFWCSX",
        "multiplier": 1,
    }
    entry |= {
        "isQuanto": False,
        "isInverse": False,
        "quoteToSettleMultiplier": units,
        "settlCurrency": "USDt",
    }
    _, listing = BitmexFeed.listing(entry)
    assert (listing.kind, listing.multiplier, listing.settle) == ("linear", multiplier, "USDT")


def test_an_entry_that_can_not_be_read_costs_no_other():
    good = {"product_id": "BTC-USD", "base_currency_id": "BTC", "quote_currency_id": "USD"}
    bodies = [
        {
            "products": [
                {**good, "quote_increment": "a cent"},
                {**good, "product_id": "B", "quote_increment": "1"},
            ]
        }
    ]
    assert parsed(CoinbaseFeed, bodies).listings == {
        "B": Listing(kind="spot", base="BTC", quote="USD", tick="1")
    }


def test_of_other_exchanges_nothing_is_known():
    entry = {"instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "instType": "SPOT", "tickSz": "0.1"}
    instruments = parsed(OKX, [{"data": [entry]}, {"data": []}])
    assert instruments.symbols == {"BTC-USDT": "BTC-USDT"} and not instruments.listings
