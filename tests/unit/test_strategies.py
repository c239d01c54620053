"""Strategies: parameters, actions, loading."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tradeflow import Strategy, buy, sell, timer
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


def test_states_survive_json():
    for cls in SHIPPED.values():
        state = cls.State()
        assert msgspec.json.decode(msgspec.json.encode(state), type=cls.State) == state
