"""What workers must have in common: the words for a difference, and who stops for whom."""

from __future__ import annotations

import pytest

from tradeflow.messages import Terms
from tradeflow.partitions import PartitionMap, PartitionMaps
from tradeflow.strategies import load_strategy
from tradeflow.worker.agreement import (
    MAPS,
    Agreement,
    decode_control,
    difference,
    group_terms,
    map_terms,
    record_terms,
)

OURS = {"symbols.json BTC-USDT": "0", "symbols.json ETH-USDT": "1"}


def agreement(offset: int = 7) -> Agreement:
    made = Agreement("we", {}, patience=1)
    made._terms = {MAPS: OURS}
    made._offsets = {MAPS: offset}
    return made


def terms(worker: str = "they", scope: str = MAPS, **others: str) -> Terms:
    return Terms(scope=scope, terms=OURS | others, worker=worker, time=1)


def test_every_place_of_every_map_is_a_term() -> None:
    maps = PartitionMaps(
        PartitionMap("symbols.json", {"BTC-USDT": 0}), {"kraken": PartitionMap("k", {"BTC-USDT": 3})}
    )
    assert map_terms(maps) == {"symbols.json BTC-USDT": "0", "kraken.json BTC-USDT": "3"}


def test_what_a_group_serves_and_runs_are_terms() -> None:
    books = [("kraken", "BTC-USDT")]
    one = group_terms(books, [load_strategy("imbalance")])
    assert difference(one, one) == ""
    assert "book kraken/BTC-USDT: served here, none there" in difference(one, group_terms([], []))
    assert "strategy imbalance with parameters" in difference(one, group_terms(books, []))
    assert difference(group_terms([], [], ["trades"]), {}) == "topic trades: read here, none there"


def test_the_terms_of_any_version_are_read() -> None:
    """Else a worker would take one that it can't read for none."""
    theirs = decode_control(
        b'{"v":2,"type":"terms","scope":"records","terms":{"schema version":"2"},"worker":"w","time":1}'
    )
    assert theirs is not None
    assert difference(record_terms(), theirs.terms) == "schema version: 1 here, 2 there"


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (OURS, ""),
        ({**OURS, "symbols.json ETH-USDT": "2"}, "symbols.json ETH-USDT: 1 here, 2 there"),
        ({"symbols.json BTC-USDT": "0"}, "symbols.json ETH-USDT: 1 here, none there"),
        (
            {f"s{n}": "x" for n in range(3)},
            "s0: none here, x there; s1: none here, x there; s2: none here, x there and 2 more",
        ),
    ],
)
def test_a_difference_in_words(theirs: dict[str, str], words: str) -> None:
    assert difference(OURS, theirs) == words


def test_who_started_first_stops_for_another_that_started_at_the_same_time() -> None:
    later = terms(**{"symbols.json ETH-USDT": "2"})
    assert "ETH-USDT: 1 here, 2 there (worker they started with the latter)" in agreement().heard(8, later)


@pytest.mark.parametrize(
    ("offset", "heard"),
    [
        (6, terms(**{"symbols.json ETH-USDT": "2"})),
        (8, terms("we", **{"symbols.json ETH-USDT": "2"})),
        (8, terms()),
        (8, terms(scope="another-group", **{"symbols.json ETH-USDT": "2"})),
    ],
    ids=["before ours", "our own", "the same", "of another group"],
)
def test_nobody_stops_for(offset: int, heard: Terms) -> None:
    assert agreement().heard(offset, heard) == ""


def test_before_it_has_said_its_own_a_worker_stops_for_nobody() -> None:
    assert Agreement("we", {}, 1).heard(8, terms(**{"symbols.json ETH-USDT": "2"})) == ""


def test_what_else_is_in_the_topic_is_left_alone() -> None:
    assert decode_control(b'{"type": "halt"}') is None
    assert decode_control(b"\xff") is None


def test_of_many_differences_each_kind_is_told() -> None:
    balances = {f"balance kraken {n}": "1" for n in range(9)}
    said = difference({"book kraken/BTC-USDT": "served"}, balances)
    assert said.startswith(
        "balance kraken 0: none here, 1 there; book kraken/BTC-USDT: served here, none there; "
    )
    assert said.endswith(" and 7 more")
