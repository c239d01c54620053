"""Strategies: parameters, actions, loading, and the two that ship."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tradeflow import Strategy, Trial, buy, sell, timer
from tradeflow.execution.fees import TAKER_FEES
from tradeflow.partitions import load_maps
from tradeflow.strategies import SHIPPED, ActionError, StrategyError, load_strategies, load_strategy
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance

ROOT = Path(__file__).parents[2]
MAPS = load_maps(ROOT / "partition_maps")


class Maker(Strategy):
    exchange: str = "binance"
    size: Decimal = Decimal("0.01")
    levels: int = 3


class Place:
    exchange = "kraken"
    symbol = "BTC-USDT"


# --- parameters ---


def test_parameters_are_typed_exact_and_frozen():
    maker = Maker(size="0.5", levels=2)
    assert (maker.size, maker.exchange) == (Decimal("0.5"), "binance")
    with pytest.raises(AttributeError):
        maker.size = Decimal(1)
    assert Maker(symbols=["btc/usdt", "ETHUSDT"]).symbols == ("BTC-USDT", "ETH-USDT")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"size": 0.1}, r"Maker\(size=0.1\): a float can't hold an exact number"),
        ({"size": "much"}, r"Maker\(size='much'\)"),
        ({"exchange": 7}, r"Maker\(exchange=7\): Expected `str`, got `int`"),
        ({"levels": "3"}, r"Maker\(levels='3'\): Expected `int`, got `str`"),
        ({"symbols": ["BTC"]}, "'BTC' is not a symbol"),
    ],
)
def test_wrong_parameters_are_refused(parameters, reason):
    with pytest.raises(StrategyError, match=reason):
        Maker(**parameters)


def test_a_float_is_refused_inside_a_container_too():
    with pytest.raises(StrategyError, match="a float can't hold an exact number"):
        Arbitrage(fees={"binance": 0.001})


def test_params_hash_is_of_the_class_and_its_values():
    assert Maker().params_hash == Maker(size="0.01").params_hash
    others = [Maker(size="0.02"), Maker(levels=4), Imbalance(), Arbitrage(), Arbitrage(fees={})]
    assert len({strategy.params_hash for strategy in [Maker(), *others]}) == 6
    assert (
        Arbitrage(fees={"a": "1", "b": "2"}).params_hash == Arbitrage(fees={"b": "2", "a": "1"}).params_hash
    )


def test_params_hash_is_the_same_in_another_process():
    code = (
        "from tradeflow.strategies import load_strategy as load;"
        "print(load('imbalance').params_hash, load('arbitrage').params_hash)"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert seen.stdout.split() == [Imbalance().params_hash, Arbitrage().params_hash]


def test_names():
    assert (Maker.name, Imbalance.name, Arbitrage.name) == ("maker", "imbalance", "arbitrage")

    class Other(Maker):
        name = "my-maker"

    assert Other.name == "my-maker"


def test_a_timer_that_can_not_be():
    with pytest.raises(StrategyError, match=r"must be 0\.001 or more"):
        timer(seconds=0)


# --- actions ---


def test_actions_are_exact():
    action = buy(Place, "64000.10", 2, post_only=True, tag="x")
    assert (action.exchange, action.symbol, action.side) == ("kraken", "BTC-USDT", "buy")
    assert (action.price, action.size, action.tif, action.post_only) == (
        Decimal("64000.10"),
        Decimal(2),
        "GTC",
        True,
    )
    assert sell(Place, None, Decimal("1E-9"), type="MARKET").price is None


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        ((100.5, 1), {}, "price=100.5: write it exactly, as Decimal or str"),
        ((100, 0.1), {}, "size=0.1: write it exactly"),
        ((100, True), {}, "size=True: write it exactly"),
        ((0, 1), {}, "price=0: must be above zero"),
        ((1, "-2"), {}, "size='-2': must be above zero"),
        ((1, "NaN"), {}, "must be above zero"),
        ((1, "a lot"), {}, "'a lot' is not a number"),
        ((None, 1), {}, "LIMIT order with price None"),
        ((1, 1), {"type": "MARKET"}, "MARKET order with price 1"),
        ((1, 1), {"post_only": True, "tif": "IOC"}, "post_only with LIMIT IOC"),
        ((1, 1), {"tif": "DAY"}, "use LIMIT or MARKET, and GTC, IOC or FOK"),
    ],
)
def test_orders_that_make_no_sense_are_refused(arguments, options, reason):
    for side in (buy, sell):
        with pytest.raises(ActionError, match=reason):
            side(Place, *arguments, **options)


# --- loading ---


def test_the_shipped_ones_load():
    assert sorted(SHIPPED) == ["arbitrage", "imbalance"]
    assert load_strategies(["imbalance", "arbitrage"], MAPS) == [Imbalance(), Arbitrage()]


def test_ones_own_module_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text(
        "from tradeflow import Strategy\n"
        "class Mine(Strategy):\n    levels: int = 3\n"
        "big = Mine(levels=9)\n"
        "nothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    mine, big = load_strategies(["mine_here:Mine", "mine_here:big"], MAPS)
    assert (mine.levels, big.levels, mine.name, big.name) == (3, 9, "mine", "mine")
    for wrong in ("nothing", "Nobody"):
        with pytest.raises(StrategyError, match=f"mine_here has no Strategy '{wrong}', but Mine, big"):
            load_strategy(f"mine_here:{wrong}")
    with pytest.raises(StrategyError, match="mine is there twice with the same parameters"):
        load_strategies(["mine_here:Mine", "mine_here:Mine"], MAPS)


@pytest.mark.parametrize("name", ["imbalanced", ":Maker", "module:", ""])
def test_names_that_mean_nothing(name):
    with pytest.raises(StrategyError, match="is neither one of arbitrage, imbalance, nor module:Class"):
        load_strategy(name)


def test_a_module_that_is_not_there():
    with pytest.raises(
        StrategyError, match="No module named 'nowhere_at_all'; run in the directory that holds it"
    ):
        load_strategy("nowhere_at_all:Maker")


def test_symbols_on_different_partitions_are_refused(tmp_path, monkeypatch):
    (tmp_path / "apart_here.py").write_text(
        "from tradeflow import Strategy\n"
        "class Apart(Strategy):\n    symbols: tuple[str, ...] = ('BTC-USDT', 'ETH-USDT')\n"
        "together = Apart(symbols=('BTC-USDT', 'BTC-USD-PERP'))\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        StrategyError, match=r'apart: BTC-USDT, ETH-USDT must share a partition.* set "ETH-USDT": 0'
    ):
        load_strategies(["apart_here:Apart"], MAPS)
    assert len(load_strategies(["apart_here:together"], MAPS)) == 1


def test_no_framework_is_imported():
    code = (
        "import sys; import tradeflow; from tradeflow import Strategy, buy, sell, timer, Trial; Trial();"
        "print([m for m in ('faust', 'mode', 'aiokafka', 'cryptofeed', 'aiohttp') if m in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert seen.stdout.strip() == "[]"


# --- imbalance ---


def heavy(bid: str, ask: str) -> dict:
    return {"bid": [("100", bid), ("99", "1")], "ask": [("101", ask), ("102", "1")]}


def test_imbalance_acts_when_a_region_is_entered_or_left():
    strategy = Imbalance(enter="0.6", leave="0.2", size="0.5", levels=2)
    trial = Trial(strategy)
    trial.book("binance", **heavy("1", "1"))
    trial.delta("binance", bid=[("100", "6")])  # (7 - 2) / 9 = 0.56
    assert not trial.sent
    trial.delta("binance", bid=[("100", "7")])  # (8 - 2) / 10 = 0.6
    (order,) = trial.sent
    assert (order.side, order.price, order.size, order.tif) == ("buy", Decimal(101), Decimal("0.5"), "IOC")
    trial.fill(order)
    trial.delta("binance", bid=[("100", "9")])
    trial.delta("binance", bid=[("100", "2")])  # (3 - 2) / 5 = 0.2
    assert len(trial.sent) == 1, "still in the region, or not yet out of it"
    trial.delta("binance", bid=[("100", "1.9")])
    order = trial.sent[1]
    assert (order.side, order.price, order.size) == ("sell", Decimal(100), Decimal("0.5"))
    assert trial.state(strategy).wanted == 0


def test_imbalance_turns_around_in_one_order():
    strategy = Imbalance(levels=1, size="0.5")
    trial = Trial(strategy)
    for bid, ask in (("9", "1"), ("1", "9"), ("1", "1")):
        trial.book("binance", **heavy(bid, ask))
        trial.fill(trial.sent[-1])
    assert [(order.side, order.size) for order in trial.sent] == [
        ("buy", Decimal("0.5")),
        ("sell", Decimal("1.0")),
        ("buy", Decimal("0.5")),
    ]


def test_imbalance_undoes_what_was_filled_alone():
    trial = Trial(Imbalance(levels=1, size="0.5"))
    trial.book("binance", **heavy("9", "1"))
    trial.fill(trial.sent[0], "0.2")
    trial.book("binance", **heavy("1", "9"))
    assert len(trial.sent) == 1, "not while an order is under way"
    trial.report(trial.sent[0], "EXPIRED", leaves_size="0")
    trial.book("binance", **heavy("1", "1"))
    assert [(order.side, order.size) for order in trial.sent[1:]] == [("sell", Decimal("0.2"))]
    trial = Trial(Imbalance(levels=1))
    trial.book("binance", **heavy("9", "1"))
    trial.deny(trial.sent[0])
    trial.book("binance", **heavy("8", "1"))
    trial.book("binance", **heavy("1", "1"))
    assert len(trial.sent) == 1, "neither tried again nor undone"


def test_imbalance_sends_no_less_than_the_exchange_takes():
    trial = Trial(Imbalance(levels=1))
    trial.instrument("binance", lot="0.001", min_notional="5.05")
    trial.book("binance", **heavy("9", "1"))
    assert trial.sent[0].size == Decimal("0.102"), "5.05 / 100 in whole lots, twice"


def test_imbalance_minds_its_own_exchange_and_levels():
    trial = Trial(Imbalance(levels=1))
    trial.book("kraken", **heavy("9", "1"))
    trial.book("binance", bid=[("100", "1"), ("99", "50")], ask=[("101", "1")])
    assert not trial.sent


# --- arbitrage ---


@pytest.fixture
def arbitrage():
    strategy = Arbitrage(
        min_edge="0.001", max_size="2", fees={"binance": "0.001", "kraken": "0.002", "coinbase": "0"}
    )
    return strategy, Trial(strategy)


def test_arbitrage_sends_both_legs_once(arbitrage):
    _, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.7")])
    trial.book("kraken", bid=[("101", "0.4")], ask=[("102", "1")])
    first, second = trial.sent
    assert (first.side, first.exchange, first.price, first.size) == (
        "buy",
        "binance",
        Decimal(100),
        Decimal("0.4"),
    )
    assert (second.side, second.exchange, second.price, second.size) == (
        "sell",
        "kraken",
        Decimal(101),
        Decimal("0.4"),
    )
    assert {order.tif for order in trial.sent} == {"IOC"}
    assert first.cause == second.cause and first.cause.exchange == "kraken"
    trial.delta("binance", ask=[("100", "5")])
    trial.delta("kraken", bid=[("101.5", "5")])
    assert len(trial.sent) == 2, "the same opportunity"


def test_arbitrage_counts_both_fees_and_the_least_edge(arbitrage):
    _, trial = arbitrage
    # 100 × 1.001 × 1.001 = 100.2001 = bid × 0.998 at bid 100.4009018…
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    trial.book("kraken", bid=[("100.400901", "1")], ask=[("102", "1")])
    assert not trial.sent
    trial.delta("kraken", bid=[("100.400902", "1")])
    assert len(trial.sent) == 2


def test_arbitrage_wants_more_than_the_least_edge():
    trial = Trial(Arbitrage(min_edge="0.01", fees={"binance": "0", "kraken": "0"}))
    trial.book("binance", bid="99", ask="100")
    trial.book("kraken", bid="101", ask="102")
    assert not trial.sent
    trial.book("kraken", bid="101.0000000001", ask="102")
    assert len(trial.sent) == 2


def test_arbitrage_is_armed_again_when_the_edge_has_gone(arbitrage):
    strategy, trial = arbitrage
    trial.book("binance", bid=[("99", "9")], ask=[("100", "9")])
    trial.book("kraken", bid=[("101", "9")], ask=[("102", "9")])
    for order in list(trial.sent):
        trial.fill(order)
    assert trial.state(strategy).taken == ["binance>kraken"]
    trial.delta("kraken", bid=[("101", "0"), ("100.1", "9")])
    assert trial.state(strategy).taken == []
    trial.delta("kraken", bid=[("101", "9")])
    assert len(trial.sent) == 4
    assert {order.size for order in trial.sent} == {Decimal(2)}, "at most max_size"
    assert len({order.order_id for order in trial.sent}) == 4


def test_arbitrage_wants_live_books_and_known_fees(arbitrage):
    _, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    trial.down("binance")
    trial.book("kraken", bid=[("105", "1")], ask=[("106", "1")])
    assert not trial.sent
    trial.book("binance", bid=[("99", "1")], ask=[("100", "1")])
    assert len(trial.sent) == 2
    nobody = Trial(Arbitrage(fees={"kraken": "0"}))
    nobody.book("binance", bid="99", ask="100")
    nobody.book("kraken", bid="105", ask="106")
    assert not nobody.sent
    assert all(Decimal(0) < fee < Decimal("0.02") for fee in TAKER_FEES.values())


def test_arbitrage_takes_one_pair_at_a_time(arbitrage):
    strategy, trial = arbitrage
    trial.book("binance", bid="99", ask="100")
    trial.book("coinbase", bid="99.5", ask="100.5")
    trial.book("kraken", bid="103", ask="104")
    trial.delta("kraken", bid=[("103", "2")])
    assert trial.state(strategy).taken == ["binance>kraken"]
    for order in list(trial.sent):
        trial.fill(order)
    trial.delta("kraken", bid=[("103", "3")])
    assert [(order.side, order.exchange) for order in trial.sent] == [
        ("buy", "binance"),
        ("sell", "kraken"),
        ("buy", "coinbase"),
        ("sell", "kraken"),
    ]


@pytest.fixture
def legs(arbitrage):
    """Bought 0.4 on binance, sold 0.4 on kraken: both under way."""
    _strategy, trial = arbitrage
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.4")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    return trial, *trial.sent


def unwound(trial):
    return [
        (order.side, order.exchange, order.price, order.size, order.tif)
        for order in trial.sent
        if order.tag == "unwind"
    ]


def test_a_leg_that_is_denied_has_the_other_unwound(legs):
    trial, bought, sold = legs
    trial.deny(sold, "BALANCE")
    assert not unwound(trial), "the other leg is under way"
    trial.fill(bought)
    # 101 × 0.998 on kraken is more than 99 × 0.999 on binance.
    assert unwound(trial) == [("sell", "kraken", Decimal(101), Decimal("0.4"), "IOC")]
    trial.fill(trial.sent[-1])
    trial.advance(seconds=3)
    assert len(unwound(trial)) == 1, "nothing is left"


def test_a_leg_that_is_half_filled_leaves_the_difference(legs):
    trial, bought, sold = legs
    trial.fill(sold)
    trial.fill(bought, "0.1")
    trial.report(bought, "EXPIRED", leaves_size="0")
    assert unwound(trial) == [("buy", "binance", Decimal(100), Decimal("0.3"), "IOC")]
    trial.book("kraken", bid=[("150", "1")], ask=[("151", "1")])
    assert len(trial.sent) == 3, "no new pair until it is done"
    trial.fill(trial.sent[-1], "0.1")
    trial.report(trial.sent[2], "EXPIRED", leaves_size="0")
    assert unwound(trial)[1:] == [("buy", "binance", Decimal(100), Decimal("0.2"), "IOC")], "again, at once"


def test_an_unwinding_order_that_is_denied_waits_a_second(legs):
    trial, bought, sold = legs
    trial.fill(bought)
    trial.deny(sold)
    trial.deny(trial.sent[-1], "STALE_SIGNAL")
    assert len(unwound(trial)) == 1
    trial.advance(seconds=1)
    assert len(unwound(trial)) == 2


def test_what_one_exchange_denies_is_unwound_on_another(legs):
    trial, bought, sold = legs
    trial.fill(bought)
    trial.deny(sold, "BALANCE")
    tried = [unwound(trial)[-1][1]]
    for _ in range(3):
        trial.deny(trial.sent[-1], "BALANCE")
        trial.advance(seconds=1)
        tried.append(unwound(trial)[-1][1])
    assert tried == ["kraken", "binance", "kraken", "binance"], "coinbase has no book"


BALANCES = {
    "nothing to sell on kraken": ("[kraken]\nUSDT = 1000", [("DENIED", "BALANCE")]),
    "nothing to buy with on binance": ("[binance]\nBTC = 1", [("DENIED", "BALANCE")]),
}


@pytest.mark.parametrize("balances", BALANCES)
def test_on_paper_a_denied_leg_leaves_nothing(balances):
    trial = Trial(Arbitrage(), paper=True, balances=BALANCES[balances][0])
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.1")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    bought, sold = trial.sent
    assert (bought.exchange, sold.exchange) == ("binance", "kraken")
    trial.advance(seconds=4)
    denied = [one for one in trial.executions if one.status == "DENIED"]
    assert denied and {one.reason_code for one in denied} == {"BALANCE"}
    left = [position.size for position in trial.positions.values()]
    assert sum(left) == 0 and len(unwound(trial)) >= 1
    assert not trial.market.runs[0].own


def test_on_paper_a_half_filled_leg_leaves_nothing():
    trial = Trial(Arbitrage(), paper=True)
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.1"), ("100.2", "5")])
    trial.book("kraken", bid=[("101.5", "1")], ask=[("102", "1")])
    trial.advance(seconds=0.01)
    trial.delta("binance", ask=[("100", "0.04")])
    trial.advance(seconds=1)
    filled = {one.order_id: one.filled for one in trial.executions if one.size}
    assert [filled[order.order_id] for order in trial.sent[:2]] == [Decimal("0.04"), Decimal("0.1")]
    assert [(side, size) for side, _, _, size, _ in unwound(trial)] == [("buy", Decimal("0.06"))]
    trial.delta("binance", ask=[("100", "0")])
    trial.advance(seconds=3)
    assert sum(position.size for position in trial.positions.values()) == 0


def test_what_no_exchange_takes_is_left_and_holds_nothing_up(legs):
    trial, bought, sold = legs
    trial.fill(sold)
    trial.fill(bought, "0.39")
    for exchange in ("binance", "kraken", "coinbase"):
        trial.instrument(exchange, lot="0.02", min_notional="1.5")
    trial.report(bought, "EXPIRED", leaves_size="0")
    trial.advance(seconds=1)
    assert not unwound(trial), "0.01 is half a lot"
    trial.delta("kraken", bid=[("101", "0")])
    trial.book("kraken", bid=[("99", "1")], ask=[("102", "1")])
    trial.book("kraken", bid=[("101", "1")], ask=[("102", "1")])
    assert len(trial.sent) == 4, "a new pair"


def test_legs_are_of_whole_lots_on_both_exchanges(arbitrage):
    _, trial = arbitrage
    trial.instrument("binance", lot="0.1")
    trial.instrument("kraken", lot="0.01", min_notional="60")
    trial.book("binance", bid=[("99", "1")], ask=[("100", "0.77")])
    trial.book("kraken", bid=[("101", "0.4")], ask=[("102", "1")])
    assert not trial.sent, "0.4 × 101 is less than kraken takes"
    trial.book("kraken", bid=[("100.1", "2")], ask=[("102", "1")])
    trial.book("kraken", bid=[("101", "2")], ask=[("102", "1")])
    assert {order.size for order in trial.sent} == {Decimal("0.7")}


def test_both_legs_denied_leave_nothing(legs):
    trial, bought, sold = legs
    trial.deny(bought)
    trial.deny(sold)
    trial.advance(seconds=2)
    assert not unwound(trial)


def test_states_survive_json():
    for cls in SHIPPED.values():
        state = cls.State()
        assert msgspec.json.decode(msgspec.json.encode(state), type=cls.State) == state
