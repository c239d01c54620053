"""strategies.toml: parameters, several instances of a class, shadows; and what is refused, with file, key and value."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tradeflow.partitions import load_maps
from tradeflow.strategies import Strategy, StrategyError, load_strategies
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.strategies.loading import load_strategy
from tradeflow.strategies.parameters import as_text, from_text, with_parameters

MAPS = load_maps()


@pytest.fixture
def load(tmp_path):
    file = tmp_path / "mine.toml"

    def load(text, *names):
        file.write_text(text)
        return load_strategies(names or ["imbalance"], MAPS, file)

    return load


def test_parameters_are_set(load):
    (one,) = load('[imbalance]\nenter = "0.7"\nleave = 0.1\nlevels = 3\nsymbols = ["BTC/USDT"]')
    assert one == Imbalance(enter="0.7", leave=Decimal("0.1"), levels=3, symbols=("BTC-USDT",))


def test_several_of_a_class_run_under_names_of_their_own(load):
    first, second = load('[eth]\nclass = "imbalance"\nsymbols = ["ETH-USDT"]', "imbalance", "eth")
    assert (first.name, second.name) == ("imbalance", "eth")
    assert first == Imbalance() and second.symbols == ("ETH-USDT",)
    assert isinstance(second, Imbalance)
    assert second.code_hash == first.code_hash != "", "a halt ends when the code has changed"
    assert second.params_hash == Imbalance(symbols=("ETH-USDT",)).params_hash


def test_a_shadow_keeps_its_parameters_and_name(load):
    (one,) = load("[imbalance]\nshadow = true\ncancel_on_loss = false")
    assert (one.shadow, one.cancel_on_loss, one.name) == (True, False, "imbalance")
    assert one.params_hash == Imbalance().params_hash, "and with them its state"
    (one,) = load("[imbalance]\nshadow = false")
    assert not one.shadow and not Imbalance.shadow


def test_a_users_own_class(load, tmp_path, monkeypatch):
    (tmp_path / "own_here.py").write_text(
        "from tradeflow import Strategy\n"
        "class Own(Strategy):\n    name = 'mine'\n    size: float = 1.0\n    def on_book(self, book, ctx): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = '[mine]\nsize = 2.5\nshadow = true\n[other]\nclass = "own_here:Own"\nsize = 4.0'
    one, other = load(text, "own_here:Own", "other")
    assert (one.name, one.size, one.shadow) == ("mine", 2.5, True)
    assert (other.name, other.size, other.shadow) == ("other", 4.0, False)


def test_a_section_may_wait_for_strategies_to_name_it(load):
    assert len(load('[eth]\nclass = "imbalance"\n[arbitrage]\nmax_size = 1')) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[imbalance]\nentr = 1",
            r"mine.toml: \[imbalance\]: imbalance has no parameter 'entr'; it has enter, exchange",
        ),
        (
            '[imbalance]\nlevels = "many"',
            r"mine.toml: \[imbalance\]: Imbalance\(levels='many'\): Expected `int`, got `str`",
        ),
        ('[imbalance]\nenter = "many"', r"\(enter='many'\): Invalid decimal string"),
        ('[imbalance]\nshadow = "yes"', r"mine.toml: \[imbalance\] shadow = 'yes': must be true or false"),
        (
            "[imbalanze]\nlevels = 1",
            r"mine.toml: \[imbalanze\] is for no strategy: those are arbitrage, imbalance",
        ),
        ("levels = 1", r"mine.toml: levels = 1 stands in no section"),
        ("[imbalance", r"mine.toml can't be read: Expected ']'"),
        ("[imbalance]\nclass = 1", r"\[imbalance\] class = 1: must be a name or module:Class"),
    ],
)
def test_what_is_unclear_is_refused(load, text, says):
    with pytest.raises(StrategyError, match=says):
        load(text)


def test_a_file_that_is_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_strategies(["imbalance"], MAPS) == [Imbalance()]
    with pytest.raises(StrategyError, match=r"nowhere\.toml can't be read: .*No such file"):
        load_strategies(["imbalance"], MAPS, tmp_path / "nowhere.toml")
    (tmp_path / "strategies.toml").write_text("[imbalance]\nlevels = 7")
    assert load_strategies(["imbalance"], MAPS) == [Imbalance(levels=7)]


# --- as text ---


class Everything(Strategy):
    word: str = "w"
    number: int = 1
    exact: Decimal = Decimal("0.5")
    rough: float = 0.5
    flag: bool = False
    many: tuple[str, ...] = ()
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        ({"word": "5"}, {"word": "5"}),
        ({"number": "7"}, {"number": 7}),
        ({"exact": "0.7"}, {"exact": Decimal("0.7")}),
        ({"exact": '"0.7"'}, {"exact": Decimal("0.7")}),
        ({"rough": "0.25"}, {"rough": 0.25}),
        ({"flag": "true"}, {"flag": True}),
        ({"many": '["a", "b"]'}, {"many": ("a", "b")}),
        ({"fees": '{a = 0.1, b = "0.2"}'}, {"fees": {"a": Decimal("0.1"), "b": Decimal("0.2")}}),
    ],
)
def test_values_are_read_from_text(texts, values):
    assert with_parameters(Everything(), from_text(Everything(), texts)) == Everything(**values)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"nothing": "1"}, "everything has no parameter 'nothing'; it has exact, fees, flag"),
        ({"symbols": '["BTC-USDT"]'}, "symbols can't be changed while everything runs"),
        ({"number": "1.5"}, r"Everything\(number=1.5\): Expected `int`, got `float`"),
        ({"exact": "x"}, "Invalid decimal string"),
    ],
)
def test_text_that_fits_nothing_is_refused(texts, says):
    with pytest.raises(StrategyError, match=says):
        with_parameters(Everything(), from_text(Everything(), texts))


def test_all_parameters_go_through_text():
    one = Everything(word="", number=-3, exact="1e-9", rough=1e-9, flag=True, fees={"a": "0.1"})
    texts = as_text(one)
    assert texts.pop("symbols") == "[]"
    assert texts["exact"] == "1E-9" and texts["fees"] == '{"a":"0.1"}'
    assert with_parameters(Everything(), from_text(Everything(), texts)) == one
    assert load_strategy("imbalance") == Imbalance()
