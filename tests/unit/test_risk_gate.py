"""The gate in single cases; risk_story.py throws random ones at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, get_args

import pytest

from tables.instruments import Instrument
from tables.order_books import OrderBook
from tables.positions import Position
from tradeflow.messages import Cause, Order, Steer
from tradeflow.risk import Account, Denial, Limits, ReasonCode, RiskGate, Situation, parse_limits

SECOND = 1_000_000_000


class Open(NamedTuple):
    order: Order
    leaves: str


@dataclass
class Desk:
    """One gate over two live books at 99 / 101, each with plenty of balance."""

    limits: str = ""
    share: Decimal | None = None
    gate: RiskGate = field(init=False)
    now: int = 1_000 * SECOND

    def __post_init__(self) -> None:
        self.gate = RiskGate(parse_limits(self.limits), self.share)
        self.known: set[str] = set()
        self.seen = Situation(
            {(exchange, "BTC-USDT"): account(exchange, "BTC-USDT") for exchange in ("binance", "kraken")},
            self.known,
        )
        self.binance = self.seen.accounts["binance", "BTC-USDT"]
        self.kraken = self.seen.accounts["kraken", "BTC-USDT"]

    def denial(
        self, side: str = "buy", price: str | None = "100", size: str = "1", **more: Any
    ) -> Denial | None:
        return self.gate.check(self.order(side, price, size, **more), self.seen, self.now)

    def code(self, *args: Any, **more: Any) -> str:
        denial = self.denial(*args, **more)
        return denial.reason_code if denial else ""

    def order(self, side: str = "buy", price: str | None = "100", size: str = "1", **more: Any) -> Order:
        fields: dict[str, Any] = {
            "order_id": "new",
            "strategy": "imbalance",
            "params_hash": "",
            "exchange": "binance",
            "symbol": "BTC-USDT",
            "side": side,
            "type": "MARKET" if price is None else "LIMIT",
            "price": price,
            "size": size,
            "event_time": self.now,
            "cause": Cause(kind="timer"),
        }
        return Order(**(fields | more))

    def steer(self, action: str, strategy: str = "", symbol: str = "") -> None:
        self.gate.steer(
            Steer(
                receipt_time=0,
                offset=0,
                action=action,
                strategy=strategy,
                symbol=symbol,
                by="ann",
                reason="storm",
            )
        )

    def open(self, side: str, price: str, leaves: str, *, at: str = "binance", **more: Any) -> None:
        order = self.order(side, price, order_id="earlier", strategy="maker", **more)
        self.seen.accounts[at, "BTC-USDT"].open_orders.append(Open(order, leaves))  # type: ignore[attr-defined]

    def add(self, exchange: str, symbol: str) -> Account:
        added = account(exchange, symbol)
        self.seen.accounts[exchange, symbol] = added  # type: ignore[index]
        return added


def account(exchange: str, symbol: str) -> Account:
    book = OrderBook(exchange, symbol)
    book.book.replace([("99", "1")], [("101", "1")])
    book.state = "live"
    base, quote = symbol.split("-")[:2]
    position = Position(base_currency=base, quote_currency=quote, base=Decimal(1000), quote=Decimal(100_000))
    return Account(book, position, [])


def instrument(contract: str = "spot", contract_value: str | None = None, **steps: str) -> Instrument:
    return Instrument(
        exchange="", symbol="", base="BTC", quote="USD", contract=contract, contract_value=contract_value, **steps
    )  # fmt: skip


def test_the_order_of_the_reasons_is_fixed():
    assert get_args(ReasonCode) == (
        "MALFORMED",
        "UNKNOWN_BOOK",
        "DUPLICATE_ID",
        "HALTED",
        "STALE_SIGNAL",
        "BOOK_NOT_LIVE",
        "UNKNOWN_INSTRUMENT",
        "UNKNOWN_RATE",
        "TICK",
        "LOT",
        "PRICE_COLLAR",
        "MIN_NOTIONAL",
        "ORDER_SIZE",
        "NOTIONAL",
        "REDUCE_ONLY",
        "SELF_TRADE",
        "OPEN_ORDERS",
        "POSITION",
        "BALANCE",
        "GROSS_NOTIONAL",
        "ORDER_RATE",
    )


def test_an_ordinary_order_passes_with_the_default_limits():
    assert Desk().denial() is None


def test_a_cancel_passes_whatever_is_wrong():
    desk = Desk()
    desk.steer("halt")
    desk.binance.book.state = "broken"
    assert desk.denial(command="CANCEL", size="999999999", exchange="nowhere") is None


def test_a_denial_says_value_and_limit():
    denial = Desk("[default]\nmax_order_size = 2").denial(size="2.5")
    assert denial == Denial("ORDER_SIZE", "2.5", "2", "size 2.5 is above max_order_size 2")


def test_who_halted_what_is_said():
    desk = Desk()
    desk.steer("halt", "imbalance")
    denial = desk.denial()
    assert denial is not None and denial.reason == "imbalance is halted (by ann: storm): resume it first"
    desk.steer("resume", "imbalance")
    assert desk.denial() is None


def test_a_signal_is_stale_by_event_time():
    desk = Desk()
    assert desk.code(event_time=desk.now - 2 * SECOND) == ""
    denial = desk.denial(event_time=desk.now - 2 * SECOND - 1)
    assert denial is not None
    assert (denial.reason_code, denial.value, denial.limit) == ("STALE_SIGNAL", "2000.000001", "2000")


@pytest.mark.parametrize("state", ["syncing", "stale", "broken"])
def test_a_book_that_is_not_live_takes_no_orders(state):
    desk = Desk()
    desk.binance.book.state = state
    assert desk.code() == "BOOK_NOT_LIVE"


def test_the_collar_is_on_both_sides_of_the_mid():
    desk = Desk("[default]\nprice_collar_pct = 5")
    assert [desk.code(price=price) for price in ("95", "105")] == ["", ""]
    assert [desk.code(price=price) for price in ("94.99", "105.01")] == ["PRICE_COLLAR", "PRICE_COLLAR"]


def test_a_market_order_ends_at_the_edge_of_the_collar():
    desk = Desk("[default]\nprice_collar_pct = 2.55")
    bounded = desk.gate.bounded(desk.order("buy", None), desk.seen)
    assert (bounded.type, bounded.tif, bounded.price) == (
        "LIMIT",
        "IOC",
        "102",
    )  # as many decimals as the touch
    assert desk.gate.bounded(desk.order("sell", None, tif="FOK"), desk.seen).tif == "FOK"
    desk.binance.instrument = instrument(tick="0.5")
    assert desk.gate.bounded(desk.order("buy", None), desk.seen).price == "102.5"
    assert desk.gate.bounded(desk.order("sell", None), desk.seen).price == "97.5"
    limit = desk.order()
    assert desk.gate.bounded(limit, desk.seen) is limit


def test_the_instruments_steps():
    desk = Desk()
    desk.binance.instrument = instrument(tick="0.5", lot="0.01", min_notional="10")
    assert desk.code(price="100.5", size="0.1") == ""
    assert desk.code(price="100.25") == "TICK"
    assert desk.code(size="0.101") == "LOT"
    assert desk.code(size="0.09") == "MIN_NOTIONAL"


def test_contracts_are_worth_what_their_kind_says():
    desk = Desk("[default]\nmax_order_notional = 1000")
    perpetual = desk.add("bitmex", "BTC-USD-PERP")
    order = {"exchange": "bitmex", "symbol": "BTC-USD-PERP", "size": "1000"}
    assert desk.code(**order) == "UNKNOWN_INSTRUMENT"
    perpetual.instrument = instrument("inverse")
    assert desk.code(**order) == "UNKNOWN_INSTRUMENT", "its value is missing"
    perpetual.instrument = instrument("inverse", "1")
    assert desk.code(**order) == "", "1,000 contracts of 1 USD, whatever the price"
    assert desk.code(**order | {"size": "1001"}) == "NOTIONAL"
    perpetual.instrument = instrument("linear", "0.01")
    assert desk.code(**order) == "", "10 at a price of 100"
    assert desk.code(**order | {"size": "1001"}) == "NOTIONAL"


def test_a_quote_currency_without_a_rate_is_worth_nothing_known():
    desk = Desk()
    desk.add("binance", "ETH-BTC")
    denial = desk.denial(symbol="ETH-BTC")
    assert denial is not None and denial.reason_code == "UNKNOWN_RATE"
    assert denial.reason.endswith("[rates] of risk.toml has USD, USDC, USDT but no BTC: add it")


def test_reduce_only_goes_to_zero_and_not_beyond():
    desk = Desk()
    desk.steer("reduce-only")
    assert desk.code("buy") == desk.code("sell") == "REDUCE_ONLY"
    desk.binance.position.size = Decimal(3)
    assert [desk.code("sell", size=size) for size in ("3", "3.1")] == ["", "REDUCE_ONLY"]
    assert desk.code("buy", size="0.1") == "REDUCE_ONLY"
    desk.open("sell", "105", "2")  # may fill first
    assert [desk.code("sell", size=size) for size in ("1", "1.1")] == ["", "REDUCE_ONLY"]
    desk.binance.open_orders.clear()
    desk.binance.position.size = Decimal(-3)
    assert [desk.code("buy", size=size) for size in ("3", "3.1")] == ["", "REDUCE_ONLY"]


def test_two_orders_of_ours_never_meet():
    desk = Desk()
    desk.open("sell", "101", "1")
    assert (
        desk.code("buy", "101")
        == desk.code("buy", None)
        == desk.code("buy", "102", tif="IOC")
        == "SELF_TRADE"
    )
    assert desk.code("buy", "100.9") == desk.code("sell", "101") == ""
    desk.binance.open_orders.clear()
    desk.open("sell", "101", "1", tif="IOC")
    assert desk.code("buy", "101", tif="IOC") == desk.code("buy", None) == "", "neither can rest"
    assert desk.code("buy", "101") == "SELF_TRADE"
    desk.binance.open_orders.clear()
    desk.open("sell", "95", "1", type="MARKET")  # with its bound for a price
    assert [desk.code("buy", None), desk.code("buy", "101")] == ["", "SELF_TRADE"]


def test_open_orders_count_for_the_position_as_if_they_were_filled():
    desk = Desk("[default]\nmax_position = 5")
    desk.binance.position.size = Decimal(2)
    desk.open("buy", "98", "2")
    assert [desk.code("buy", size=size) for size in ("1", "1.1")] == ["", "POSITION"]
    assert desk.code("sell", "102", "7") == "", "to -5, if nothing else fills"
    assert desk.code("sell", "102", "7.1") == "POSITION"


def test_a_position_beyond_a_limit_may_be_brought_back():
    desk = Desk("[default]\nmax_position = 5", share=Decimal(500))
    desk.binance.position.size = Decimal(20)
    assert desk.code("sell", size="1") == ""
    assert desk.code("buy", size="1") == "POSITION"
    assert desk.code("buy", size="1", exchange="kraken") == "GROSS_NOTIONAL"


def test_what_open_orders_may_spend_is_spent():
    desk = Desk("[default]\nfee_reserve_pct = 1")
    desk.binance.position.quote = Decimal(303)
    desk.open("buy", "100", "2")
    assert desk.code("buy", "100", "1") == ""
    denial = desk.denial("buy", "100", "1.01")
    assert denial is not None
    assert (denial.reason_code, denial.value, denial.limit) == ("BALANCE", "304.01", "303")
    desk.binance.position.base = Decimal(1)
    assert [desk.code("sell", "101", size) for size in ("1", "1.1")] == ["", "BALANCE"]


def test_the_gross_limit_is_over_all_books_of_the_partition():
    desk = Desk(share=Decimal(500))
    desk.kraken.position.size = Decimal(-3)  # worth 300, short or long
    desk.open("sell", "102", "1", at="kraken")
    assert desk.code("buy", size="1") == ""
    denial = desk.denial("buy", size="1.5")
    assert denial is not None
    assert (denial.reason_code, denial.value, denial.limit) == ("GROSS_NOTIONAL", "550", "500")


def test_a_book_without_levels_is_valued_at_the_prices_that_it_was_traded_at():
    desk = Desk(share=Decimal(500))
    desk.kraken.position.fill("buy", Decimal(150), Decimal(3), Decimal(0), "USDT")
    desk.kraken.book.spoil("unusable", 0)
    assert [desk.code("buy", size=size) for size in ("0.5", "0.6")] == ["", "GROSS_NOTIONAL"]


def test_the_rate_is_over_a_sliding_second_of_what_passed():
    desk = Desk("[default]\nmax_orders_per_second = 2")
    assert [desk.code() for _ in range(3)] == ["", "", "ORDER_RATE"]
    assert desk.code(strategy="another") == ""
    desk.now += SECOND - 1
    assert desk.code() == "ORDER_RATE"
    desk.now += 1
    assert [desk.code() for _ in range(3)] == ["", "", "ORDER_RATE"]


def test_halts_and_rates_outlive_a_checkpoint():
    desk = Desk("[default]\nmax_orders_per_second = 1")
    assert not desk.gate.dirty
    assert desk.code() == "" and desk.gate.dirty
    desk.steer("halt", "another")
    value, desk.gate = desk.gate.encode(), RiskGate(desk.gate.limits, None)
    desk.gate.restore(value)
    assert desk.gate.encode() == value
    assert desk.code() == "ORDER_RATE"
    assert desk.code(strategy="another") == "HALTED"


def test_no_number_is_rounded():
    desk = Desk('[default]\nmax_order_notional = "none"\nmax_position = 1')
    tiny = "0." + "0" * 62 + "1"
    denial = desk.denial(size="1" + tiny[1:])
    assert denial is not None
    assert (denial.reason_code, denial.value) == ("POSITION", "1" + tiny[1:])


def test_the_demos_strategies_fit_into_the_defaults():
    bounds = Limits().of("binance", "BTC-USDT", "arbitrage")
    assert bounds.max_order_notional is not None and bounds.max_position_notional is not None
    dearest = Decimal(65_000) * Decimal("0.1")  # arbitrage's max_size at the simulators' dearest price
    assert dearest <= bounds.max_order_notional <= bounds.max_position_notional
