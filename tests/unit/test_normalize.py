"""normalize: every number exact, every time in nanoseconds, everything doubtful refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow.messages import (
    Delta,
    Down,
    Heartbeat,
    Instrument,
    Listing,
    RawBook,
    RawDown,
    RawHeartbeat,
    RawInstrument,
    RawTrade,
    Snapshot,
    Trade,
)
from tradeflow.normalize import NormalizeError, _levels, _prices, canonical_decimal, nanoseconds, normalize

PLACE = {"exchange": "binance", "epoch": 7, "sequence": 3, "receipt_time": 1_700_000_000_000_000_001}


def book(**fields):
    return RawBook(**{**PLACE, "symbol": "BTC-USDT", "snapshot": False, "bids": [], "asks": []} | fields)


def trade(**fields):
    return RawTrade(**{**PLACE, "symbol": "BTC-USDT", "side": "buy", "price": "100", "size": "1"} | fields)


# --- records ---


def test_a_delta():
    raw = book(
        symbol="btc/usdt",
        bids=[("100.10", "0.000")],
        asks=[("101", "1E-7"), ("00102.5", "3.")],
        exchange_time=1700000000.123,
        exchange_sequence=99,
        checksum="3310070434",
        depth=1000,
    )
    assert normalize(raw) == Delta(
        **PLACE,
        symbol="BTC-USDT",
        bids=[("100.1", "0")],
        asks=[("101", "0.0000001"), ("102.5", "3")],
        exchange_time=1_700_000_000_123_000_000,
        exchange_sequence=99,
        checksum=3310070434,
        depth=1000,
    )


def test_a_snapshot():
    event = normalize(book(snapshot=True, bids=[("1", "2")], asks=[("3", "4")]))
    assert event == Snapshot(**PLACE, symbol="BTC-USDT", bids=[("1", "2")], asks=[("3", "4")])


def test_a_trade():
    raw = trade(
        side="SELL",
        price="100.50",
        size="0.5000",
        trade_id="t1",
        order_type="market",
        exchange_time="2026-01-02T03:04:05Z",
    )
    assert normalize(raw) == Trade(
        **PLACE,
        symbol="BTC-USDT",
        side="sell",
        price="100.5",
        size="0.5",
        trade_id="t1",
        order_type="market",
        exchange_time=1_767_323_045_000_000_000,
    )


def test_down_and_heartbeat():
    assert normalize(RawDown(**PLACE, symbol="XBT-USD", reason="eof")) == Down(
        **PLACE, symbol="BTC-USD", reason="eof"
    )
    assert normalize(RawHeartbeat(**PLACE, symbol="ETHUSDT")) == Heartbeat(**PLACE, symbol="ETH-USDT")


def test_an_instrument():
    listing = Listing(kind="spot", base="BTC", quote="USDT", tick="0.01000000", lot="1E-8", min_notional=None)
    event = normalize(RawInstrument(**PLACE, symbol="BTCUSDT", listing=listing))
    canonical = Listing(kind="spot", base="BTC", quote="USDT", tick="0.01", lot="0.00000001")
    assert event == Instrument(**PLACE, symbol="BTC-USDT", listing=canonical)


def instrument(**terms):
    return RawInstrument(
        **PLACE, symbol="BTC-USDT", listing=Listing(kind="spot", base="BTC", quote="USDT", **terms)
    )


def test_canonical_records_are_passed_on_as_they_are():
    raw = book(bids=[("100.1", "0"), ("0.00000001", "123456789012345678901234567890.5")])
    assert normalize(raw).bids is raw.bids


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (book(symbol="BITCOIN"), "symbol: 'BITCOIN' is not a symbol"),
        (book(bids=[("100", "-1")]), r"level \['100', '-1'\]: '-1' is negative"),
        (book(asks=[("1", "1"), ("NaN", "1")]), r"'NaN' is not a finite number"),
        (book(asks=[("Infinity", "1")]), "'Infinity' is not a finite number"),
        (book(asks=[("", "1")]), "'' is not a number"),
        (book(asks=[("1", "one")]), "'one' is not a number"),
        (book(bids=[("0", "1")]), "a price is above zero"),
        (book(bids=[("0.00", "1")]), "a price is above zero"),
        (book(bids=[("-5", "1")]), "'-5' is negative"),
        (book(checksum="12x"), "checksum '12x' is not an integer"),
        (book(checksum="-1"), "checksum '-1' is not an integer"),
        (book(exchange_time="yesterday"), "time 'yesterday' is neither seconds nor ISO 8601"),
        (book(receipt_time=-1), "receipt_time -1"),
        (trade(side="b"), "side 'b' is neither buy nor sell"),
        (trade(size="0.00"), "a trade's size is above zero"),
        (trade(price="0"), "a price is above zero"),
        (instrument(tick="0.00"), r"tick '0\.00' is not above zero"),
        (instrument(lot="-1"), "'-1' is negative"),
    ],
)
def test_refused_by_name(raw, reason):
    with pytest.raises(NormalizeError, match=reason):
        normalize(raw)


# --- numbers ---


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0.0", "0"),
        ("-0", "0"),
        ("0E-8", "0"),
        ("100", "100"),
        ("100.0", "100"),
        ("100.10", "100.1"),
        ("0100", "100"),
        ("000.50", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("1E-7", "0.0000001"),
        ("1e+3", "1000"),
        ("1.50E+1", "15"),
        ("0.00000001", "0.00000001"),
        ("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
    ],
)
def test_canonical_decimal(text, canonical):
    assert canonical_decimal(text) == canonical


@pytest.mark.parametrize(
    "text", ["1E+999999999", "1E-999999999", "1" * 65, "9" * 5000, "0." + "1" * 65, "1E65"]
)
def test_numbers_without_end_are_refused(text):
    with pytest.raises(NormalizeError, match="more than 64 digits"):
        canonical_decimal(text)


@pytest.mark.parametrize(
    "text", ["", " ", "1 000", "1,5", "0x10", "nan", "-inf", "sNaN", "-1E-9", "1_000.5", "१२", "²"]
)
def test_what_is_no_plain_number_is_refused(text):
    with pytest.raises(NormalizeError):
        canonical_decimal(text)


@given(st.integers(0, 10**40), st.integers(-20, 40))
def test_canonical_is_exact_and_the_only_spelling(digits, exponent):
    number = Decimal(f"{digits}E{exponent}")
    spellings = {str(number), format(number, "f"), f"{digits}E{exponent}"}
    results = set()
    for spelling in spellings:
        try:
            results.add(canonical_decimal(spelling))
        except NormalizeError:
            results.add("refused")
    assert len(results) == 1, results
    (result,) = results
    if result != "refused":
        assert Decimal(result) == Decimal(f"{digits}E{exponent}")
        assert "E" not in result.upper() and not result.startswith("00")
        assert "." not in result or not result.endswith(("0", "."))


# --- times ---


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0, 0),
        (1700000000, 1_700_000_000_000_000_000),
        (1700000000.0, 1_700_000_000_000_000_000),
        (1700000000.123456, 1_700_000_000_123_456_000),
        (0.000000001, 1),
        (1e-07, 100),
        ("1534614057.321597", 1_534_614_057_321_597_000),
        ("1534614057.321597891", 1_534_614_057_321_597_891),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14 22:13:20", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.1Z", 1_700_000_000_100_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500_000_000),
        ("2023-11-14T16:43:20-0530", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.123456789000Z", 1_700_000_000_123_456_789),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_nanoseconds(time, expected):
    assert nanoseconds(time) == expected


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (-1.0, "is not seconds since 1970"),
        (float("nan"), "is not seconds since 1970"),
        (float("inf"), "is not seconds since 1970"),
        (1700000000123.0, "are these seconds"),
        ("1700000000123", "are these seconds"),
        (1e300, "are these seconds"),
        ("1700000000.1234567891", "finer than a nanosecond"),
        (1.23456789012, "finer than a nanosecond"),
        ("2023-11-14T22:13:20.1234567891Z", "finer than a nanosecond"),
        ("2023-02-30T00:00:00Z", "no day 2023-02-30"),
        ("2023-11-14T24:00:00Z", "no 24:00:00"),
        ("2023-11-14T22:13:20 UTC", "neither seconds nor ISO 8601"),
        ("1969-12-31T23:59:59Z", "between 1970 and 2262"),
        ("2023-11-14", "neither seconds nor ISO 8601"),
        ("", "neither seconds nor ISO 8601"),
        (".5", "neither seconds nor ISO 8601"),
        ("٣", "neither seconds nor ISO 8601"),
    ],
)
def test_times_that_are_refused(time, reason):
    with pytest.raises(NormalizeError, match=reason):
        nanoseconds(time)


@given(st.floats(0, 9e9), st.integers(0, 9))
def test_a_float_means_its_shortest_spelling(time, places):
    for value in (time, round(time, places)):
        exact = Decimal(repr(value)) * 10**9
        if exact == int(exact):
            assert nanoseconds(value) == exact
        else:
            with pytest.raises(NormalizeError, match="finer"):
                nanoseconds(value)


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2250, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
def test_iso_is_what_datetime_takes_it_for(naive, minutes):
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    exact = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert nanoseconds(time.isoformat()) == exact


def test_a_price_of_many_zeros_is_not_remembered() -> None:
    """Whoever writes raw records could fill the memory with them."""
    written = "1." + "0" * 10_000
    assert _levels([(written, "1")]) == [("1", "1")]
    assert written not in _prices and "1.50" not in _prices
    assert _levels([("1.50", "2")]) == [("1.5", "2")] and _prices["1.50"] == "1.5"
