"""Partition maps: what is refused, and with which advice; feeds, books, extension."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradeflow.partitions import (
    Feed,
    PartitionMap,
    PartitionMapError,
    PartitionMaps,
    dump_map,
    extend,
    feeds,
    load_map,
    load_maps,
    served_feeds,
)

SHIPPED = Path(__file__).parents[2] / "partition_maps"


def write(directory: Path, **maps: object) -> Path:
    for name, content in maps.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{name}.json").write_text(text)
    return directory


def maps_of(symbols: dict[str, int], **exchanges: dict[str, int]) -> PartitionMaps:
    found = {name: PartitionMap(f"{name}.json", partitions) for name, partitions in exchanges.items()}
    return PartitionMaps(PartitionMap("symbols.json", symbols), found)


def test_the_shipped_maps_load():
    maps = load_maps(SHIPPED)
    assert set(maps.exchanges) == {"binance", "bitmex", "coinbase", "kraken"}
    assert maps.symbols["BTC-USDT"] == 0
    assert maps.symbols.count == 4
    assert [symbol for symbol, n in maps.exchanges["kraken"].items() if n == 1] == ["BTC-USDT"]


def test_symbols_are_made_canonical(tmp_path):
    maps = load_maps(
        write(tmp_path, symbols={"SOL/USDT": 0, "xbt_usd": 1}, kraken={"BTC-USD": 0, "SOLUSDT": 0})
    )
    assert dict(maps.symbols) == {"SOL-USDT": 0, "BTC-USD": 1}
    assert dict(maps.exchanges["kraken"]) == {"BTC-USD": 0, "SOL-USDT": 0}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "give it at least one symbol"),
        ("{}", "give it at least one symbol"),
        ('[["BTC-USDT", 0]]', "must be one object"),
        ("3", "must be one object"),
        ('{"BTC": 0}', "'BTC' is not a symbol"),
        ('{"BTC-USDT": -1}', "the partition of BTC-USDT is -1; write an integer from 0 up"),
        ('{"BTC-USDT": "0"}', 'the partition of BTC-USDT is "0"'),
        ('{"BTC-USDT": 0.0}', "the partition of BTC-USDT is 0.0"),
        ('{"BTC-USDT": true}', "the partition of BTC-USDT is true"),
        ('{"BTC-USDT": null}', "the partition of BTC-USDT is null"),
        ('{"BTC-USDT": {"partition": 0}}', "the partition of BTC-USDT is"),
        ('{"BTC-USDT": 0, "BTC-USDT": 1}', "BTC-USDT is there twice, as 'BTC-USDT' and 'BTC-USDT'"),
        ('{"BTC-USDT": 0, "btc/usdt": 0}', "BTC-USDT is there twice, as 'BTC-USDT' and 'btc/usdt'"),
        ('{"BTC-USDT": 0, "ETH-USDT": 2}', "no symbol is on partition 1; number the partitions from 0 to 1"),
        ('{"BTC-USDT": 1000000000}', "no symbol is on partition 0, 1, 2, 3, 4, …; number"),
    ],
)
def test_a_bad_map_is_refused_with_file_and_fix(tmp_path, content, reason):
    write(tmp_path, symbols=content, binance={"BTC-USDT": 0})
    with pytest.raises(PartitionMapError) as caught:
        load_maps(tmp_path)
    assert str(tmp_path / "symbols.json") in str(caught.value)
    assert reason in str(caught.value)


def test_a_symbol_of_an_exchange_must_have_a_place(tmp_path):
    write(tmp_path, symbols={"BTC-USDT": 0}, kraken={"BTC-USDT": 0, "ADA-USDT": 0})
    with pytest.raises(
        PartitionMapError, match=r'kraken.json: ADA-USDT is not in .*symbols.json; add "ADA-USDT": N'
    ):
        load_maps(tmp_path)


def test_missing_directory_and_files(tmp_path):
    with pytest.raises(PartitionMapError, match="set TRADEFLOW_PARTITION_MAPS"):
        load_maps(tmp_path / "nowhere")
    with pytest.raises(PartitionMapError, match=r"symbols\.json is missing"):
        load_maps(tmp_path)
    write(tmp_path, symbols={"BTC-USDT": 0})
    with pytest.raises(PartitionMapError, match="holds no exchange's map"):
        load_maps(tmp_path)
    with pytest.raises(PartitionMapError, match="cannot be read"):
        load_map(tmp_path / "kraken.json")


def test_where_maps_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "BTC-USDT" in load_maps().symbols, "the packaged ones, where the working directory has none"
    (tmp_path / "partition_maps").mkdir()
    write(tmp_path / "partition_maps", symbols={"DOGE-EUR": 0}, kraken={"DOGE-EUR": 0})
    assert list(load_maps().symbols) == ["DOGE-EUR"]


def test_an_unknown_symbol_is_a_key_error_with_advice():
    with pytest.raises(KeyError, match=r"DOGE-EUR has no partition: add .* with N below 4"):
        load_maps(SHIPPED).symbols["DOGE-EUR"]
    assert "DOGE-EUR" not in load_maps(SHIPPED).symbols


def test_books():
    maps = load_maps(SHIPPED)
    everything = maps.books()
    assert everything == sorted(everything)
    assert len(everything) == sum(len(map_) for map_ in maps.exchanges.values())
    assert maps.books(["kraken", "binance"], ["BTC-USDT", "ADA-USDT"]) == [
        ("binance", "ADA-USDT"),
        ("binance", "BTC-USDT"),
        ("kraken", "BTC-USDT"),
    ]


@pytest.mark.parametrize(
    ("exchanges", "symbols", "reason"),
    [
        (["okx"], [], "'okx' has no map, only binance, bitmex, coinbase, kraken"),
        ([], ["DOGE-EUR"], "DOGE-EUR is in no partition map; known are ADA-USDT"),
        (["kraken"], ["ADA-USDT"], "none of kraken has ADA-USDT in its map; binance has"),
    ],
)
def test_books_that_nobody_has(exchanges, symbols, reason):
    with pytest.raises(PartitionMapError, match=reason):
        load_maps(SHIPPED).books(exchanges, symbols)


def test_feeds_are_chunks_of_ten_of_all_symbols():
    names = [f"C{number:02d}-USDT" for number in range(23)]
    partitions = dict.fromkeys(names, 0)
    maps = maps_of(partitions, kraken=dict.fromkeys(reversed(names), 0), binance={"C05-USDT": 0})
    plan = feeds(maps)
    assert [(feed.index, feed.exchange, len(feed.symbols)) for feed in plan] == [
        (0, "binance", 1),
        (1, "kraken", 10),
        (2, "kraken", 10),
        (3, "kraken", 3),
    ]
    assert [symbol for feed in plan[1:] for symbol in feed.symbols] == names
    served = served_feeds(maps, [("kraken", "C12-USDT"), ("kraken", "C22-USDT")])
    assert served == [Feed(2, "kraken", ("C12-USDT",)), Feed(3, "kraken", ("C22-USDT",))], "numbers stay"


def test_together():
    maps = load_maps(SHIPPED)
    maps.check_together([])
    maps.check_together(["BTC-USDT", "BTC-USD-PERP"])
    with pytest.raises(PartitionMapError, match="DOGE-EUR is not there"):
        maps.check_together(["BTC-USDT", "DOGE-EUR"])


def test_the_edit_that_brings_symbols_together_does():
    partitions = {"BTC-USDT": 0, "ETH-USDT": 1, "SOL-USDT": 1, "ADA-USDT": 0}
    with pytest.raises(PartitionMapError) as caught:
        maps_of(partitions, binance=partitions).check_together(["BTC-USDT", "ETH-USDT"])
    message = str(caught.value)
    assert "BTC-USDT on 0, ETH-USDT on 1" in message
    assert 'set "ETH-USDT": 0 in symbols.json' in message
    maps_of(partitions | {"ETH-USDT": 0}, binance=partitions).check_together(["BTC-USDT", "ETH-USDT"])


def test_the_edit_leaves_no_partition_empty():
    partitions = {"BTC-USDT": 0, "ETH-USDT": 1, "SOL-USDT": 0}
    with pytest.raises(PartitionMapError, match=r'set "ETH-USDT": 0 \(and move another symbol to 1\)'):
        maps_of(partitions, binance=partitions).check_together(["BTC-USDT", "ETH-USDT"])


def test_a_new_map_is_round_robin():
    made = extend(None, ["BTC-USDT", "eth/usdt", "SOL-USDT"], 2, file="okx.json")
    assert dict(made) == {"BTC-USDT": 0, "ETH-USDT": 1, "SOL-USDT": 0}
    assert json.loads(dump_map(made)) == dict(made)


def test_extending_moves_nothing_and_fills_the_emptiest():
    before = PartitionMap("okx.json", {"A-USD": 0, "B-USD": 0, "C-USD": 1, "D-USD": 2})
    after = extend(before, ["E-USD", "A-USD", "F-USD", "G-USD"])
    assert {symbol: after[symbol] for symbol in before} == dict(before)
    assert {symbol: after[symbol] for symbol in ["E-USD", "F-USD", "G-USD"]} == {
        "E-USD": 1,
        "F-USD": 2,
        "G-USD": 0,
    }
    assert after.count == before.count
    assert after.file == "okx.json"


def test_what_can_not_be_extended():
    before = PartitionMap("okx.json", {"A-USD": 0})
    with pytest.raises(
        PartitionMapError, match=r"okx.json: has 1 partitions, not 4; it is extended within those"
    ):
        extend(before, ["B-USD"], 4)
    with pytest.raises(PartitionMapError, match=r"new.json: 1 symbols can't fill 3 partitions"):
        extend(None, ["B-USD"], 3, file="new.json")
    with pytest.raises(PartitionMapError, match="'B' is not a symbol"):
        extend(before, ["B"])


def test_a_dumped_map_loads(tmp_path):
    map_ = PartitionMap("x", {"A-USD": 1, "B-USD": 0})
    (tmp_path / "x.json").write_text(dump_map(map_))
    assert dict(load_map(tmp_path / "x.json")) == dict(map_)
