"""An explanation in words; what it is made from is tested on a real Kafka (tests/integration/test_past.py)."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from tradeflow.commands.explain import show
from tradeflow.history.explain import Explanation, SeenBook, Stage, _versions
from tradeflow.messages import Cause, Execution, Order
from tradeflow.recording import Record
from tradeflow.strategies.imbalance import Imbalance

T = 1_700_000_000_000_000_000

ORDER = Order(
    order_id="a" * 32,
    strategy="imbalance",
    params_hash="f57cc94b71f7",
    exchange="binance",
    symbol="BTC-USDT",
    side="buy",
    tif="IOC",
    price="101.5",
    size="0.01",
    event_time=T,
    cause=Cause(kind="timer", timer="requote", time=T),
)
VERDICT = Execution(
    receipt_time=T + 5_000_000,
    exchange="binance",
    symbol="BTC-USDT",
    execution_id=f"{'a' * 32}-gate",
    order_id="a" * 32,
    number=-1,
    strategy="imbalance",
    side="buy",
    status="DENIED",
    reason_code="PRICE_COLLAR",
    reason="price 101.5 is [above] 101",
    leaves_size="0",
)


def told(**fields) -> str:
    book = SeenBook(
        exchange="binance",
        symbol="BTC-USDT",
        state="live",
        reason="",
        epoch=3,
        sequence=17,
        exchange_sequence=None,
        exchange_time=None,
        receipt_time=T,
        offset=99,
        levels=(2, 1),
        bids=[("100", "1"), ("99.5", "2")],
        asks=[("101.5", "4")],
    )
    stages = [
        Stage(stage="order", time=T + 1_000_000, by="orders"),
        Stage(stage="gate: DENIED", time=T + 4_500_000, by="executions"),
    ]
    values = {
        "order": ORDER,
        "canceled_by": None,
        "event": None,
        "event_time": T,
        "offset": 99,
        "partition": 0,
        "books": [book],
        "parameters": {"exchange": "binance", "enter": "0.6"},
        "executions": [VERDICT],
        "stages": stages,
        "missing": [],
    }
    console = Console(width=120, record=True, file=io.StringIO())
    show(Explanation(**(values | fields)), console)
    return console.export_text()


def test_everything_is_told():
    text = told()
    for words in (
        "imbalance: buy 0.01 binance BTC-USDT at 101.5 (IOC)",
        "because of timer requote, at event time 2023-11-14T22:13:20.000+00:00 (partition 0, offset 99)",
        "parameters f57cc94b71f7: exchange=binance, enter=0.6",
        "binance BTC-USDT: live, 3:17",
        "gate: DENIED, PRICE_COLLAR: price 101.5 is [above] 101",
        "+3.5 ms",
    ):
        assert words in text, words
    assert "│    2 │ 99.5 │" in text


def test_what_is_missing_is_told():
    text = told(missing=["the books that it saw: no longer retained"], books=[], parameters=None)
    assert "missing: the books that it saw: no longer retained" in text
    assert "parameters f57cc94b71f7: no known ones have this hash (are STRATEGIES and" in text


def test_parameters_are_those_of_each_change_in_turn():
    def word(**parameters):
        value = {"type": "steer", "action": "parameters", "strategy": "imbalance", "parameters": parameters}
        return Record("control", 0, 0, 0, None, msgspec.json.encode(value))

    words = [word(enter="0.7"), word(nothing="1"), word(levels="3")]
    versions = list(_versions(Imbalance(), words))
    assert [(str(one.enter), one.levels) for one in versions] == [("0.6", 5), ("0.7", 5), ("0.7", 3)]
