"""A partition map by measured rates: what it promises for any map and any rates, and the verb that makes it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeflow.balance import balance, partition_loads
from tradeflow.commands.partition_map import partition_map_command
from tradeflow.partitions import PartitionMap, PartitionMapError, check_map, extend, load_map


@st.composite
def maps_with_rates(draw: st.DrawFn) -> tuple[PartitionMap, dict[str, float]]:
    """Every partition holds a symbol; some symbols have no rate."""
    count = draw(st.integers(1, 8))
    places = [*range(count), *draw(st.lists(st.integers(0, count - 1), max_size=40))]
    map_ = PartitionMap("symbols.json", {f"S{n}-USDT": place for n, place in enumerate(places)})
    rate = st.one_of(st.integers(0, 10_000), st.floats(0, 1e6, allow_subnormal=False))
    return map_, {symbol: draw(rate) for symbol in map_ if draw(st.booleans())}


@settings(deadline=None)
@given(maps_with_rates())
def test_a_balanced_map_is_valid_and_no_busier(case: tuple[PartitionMap, dict[str, float]]) -> None:
    map_, rates = case
    made = balance(map_, rates)
    assert dict(check_map(made.file, made.items())) == dict(made), "as strict as for a file"
    assert list(made) == list(map_) and made.count == map_.count
    before, after = partition_loads(map_, rates), partition_loads(made, rates)
    assert max(after) <= max(before) * (1 + 1e-9)
    assert sum(after) == pytest.approx(sum(before))


@settings(deadline=None)
@given(maps_with_rates())
def test_the_busiest_has_at_most_twice_the_mean_or_one_symbol(
    case: tuple[PartitionMap, dict[str, float]],
) -> None:
    map_, rates = case
    made = balance(map_, rates)
    loads = partition_loads(made, rates)
    mean = sum(loads) / len(loads)
    assert max(loads) <= max(2 * mean, max(rates.values(), default=0)) * 1.001
    assert dict(balance(made, rates)) == dict(made), "balanced once is balanced"


@settings(deadline=None)
@given(maps_with_rates(), st.data())
def test_what_a_strategy_sees_together_stays_together(
    case: tuple[PartitionMap, dict[str, float]], data: st.DataObject
) -> None:
    map_, rates = case
    groups = data.draw(st.lists(st.sets(st.sampled_from(sorted(map_)), min_size=1), max_size=4))
    made = balance(map_, rates, groups)
    for group in groups:
        if len({map_[symbol] for symbol in group}) == 1:
            assert len({made[symbol] for symbol in group}) == 1
    assert max(partition_loads(made, rates)) <= max(partition_loads(map_, rates)) * (1 + 1e-9)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 200))
def test_even_rates_are_spread_evenly(count: int, more: int) -> None:
    symbols = [f"S{n}-USDT" for n in range(count + more)]
    first = dict.fromkeys(symbols, 0) | {symbol: n for n, symbol in enumerate(symbols[-count:])}
    made = balance(PartitionMap("m", first), dict.fromkeys(symbols, 7.5))
    mean = len(symbols) / count
    assert max(partition_loads(made, dict.fromkeys(symbols, 1))) <= max(1.01 * mean, math.ceil(mean))


def test_a_skewed_market_becomes_better_than_round_robin() -> None:
    symbols = [f"S{n}-USDT" for n in range(1_000)]
    rates = {symbol: 1_000 / (n + 1) for n, symbol in enumerate(symbols)}
    rates = {symbol: rates[symbol] for symbol in sorted(rates)}  # names say nothing of rates
    dealt = extend(None, rates, 16, "symbols.json")
    made = balance(dealt, rates)
    fair = sum(rates.values()) / 16
    assert max(partition_loads(dealt, rates)) > 2 * fair
    assert max(partition_loads(made, rates)) == max(rates.values()) == 1_000, "one symbol can't be divided"
    assert sum(made[symbol] != dealt[symbol] for symbol in symbols) < 200, "few are moved"


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf"), "3", True, None])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(PartitionMapError, match=r"the rate of A-USD is .*; write a number from 0 up"):
        balance(PartitionMap("m", {"A-USD": 0}), {"A-USD": rate})  # type: ignore[dict-item]


def test_a_rate_of_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(PartitionMapError, match=r"m.json: B-USD has a rate and no partition; add it"):
        balance(PartitionMap("m.json", {"A-USD": 0}), {"B-USD": 1})


def test_the_verb_says_what_moves(tmp_path: Path) -> None:
    file, rates = tmp_path / "symbols.json", tmp_path / "rates.json"
    file.write_text(json.dumps({"A-USD": 0, "B-USD": 0, "C-USD": 1, "D-USD": 1}))
    rates.write_text(json.dumps({"a/usd": 60, "B-USD": 40, "C-USD": 10, "D-USD": 10}))
    done = CliRunner().invoke(partition_map_command, [str(file), "--balance", str(rates)])
    assert done.exit_code == 0, done.output
    assert done.output == (
        f"B-USD: partition 0 → 1\n{file}: 1 of 4 symbols moved; busiest partition, to the mean: 1.67 → 1.00\n"
    )
    assert load_map(file)["B-USD"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "can't be read"),
        ("{", "is not JSON"),
        ("[1]", "must be one object"),
        ('{"A": 1}', "'A' is not a symbol"),
    ],
)
def test_rates_that_can_not_be_used_are_told(tmp_path: Path, text: str | None, reason: str) -> None:
    file, rates = tmp_path / "symbols.json", tmp_path / "rates.json"
    file.write_text(before := json.dumps({"A-USD": 0}))
    if text is not None:
        rates.write_text(text)
    done = CliRunner().invoke(partition_map_command, [str(file), "--balance", str(rates)])
    assert done.exit_code == 2
    assert str(rates) in done.output and reason in done.output
    assert file.read_text() == before


def test_symbols_or_rates_must_be_given(tmp_path: Path) -> None:
    done = CliRunner().invoke(partition_map_command, [str(tmp_path / "symbols.json")])
    assert done.exit_code == 2
    assert "name at least one symbol, or --balance" in done.output
