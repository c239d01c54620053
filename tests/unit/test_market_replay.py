"""The guarantee that a restart rests on: what a market does is a function of the log, wherever it is cut."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from market_histories import BOOKS, STRATEGIES, answers, history, market, steps

from tradeflow.messages import Order


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 12), st.sets(st.integers(1, 80), min_size=1, max_size=4))
def test_a_crash_changes_nothing(plan, interval, crashes):
    """A checkpoint every few events; die, restore, replay: byte for byte what an unbroken run says."""
    log, _ = history(plan)
    unbroken, expected = market(), []
    for offset, event in enumerate(log):
        unbroken.apply(event, offset)
        expected.append(answers(unbroken))

    stored: dict[tuple[str, str], bytes] = {}
    one, offset, cut = market(), 0, 0
    crashes = {crash for crash in crashes if crash <= len(log)}
    while offset < len(log):
        one.apply(log[offset], offset)
        assert answers(one) == expected[offset]
        offset += 1
        if offset % interval == 0:
            stored.update(one.take_dirty())
            cut = offset
        if offset in crashes:
            crashes.remove(offset)
            one, offset = market(), cut
            one.restore(lambda table, key: stored.get((table, key)))
    stored.update(one.take_dirty())
    assert stored == unbroken.take_dirty()
    assert [run.halted for run in one.runs] == [run.halted for run in unbroken.runs]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_records_written_again_change_nothing(plan):
    log, repeated = history(plan)
    once, twice = market(), market()
    for offset, event in enumerate(log):
        twice.apply(event, offset)
        said = answers(twice)
        if offset in repeated:
            assert said == ([], [], [])
        else:
            once.apply(event, offset)
            assert said == answers(once)
    assert once.take_dirty() == twice.take_dirty()


@settings(max_examples=40, deadline=None)
@given(steps)
def test_an_order_id_is_used_once(plan):
    log, _ = history(plan)
    one, seen = market(), Counter()
    for offset, event in enumerate(log):
        one.apply(event, offset)
        for output in one.take_outputs():
            if output.topic == "orders":
                order = msgspec.json.decode(output.value, type=Order)
                seen[order.order_id, order.command] += 1
    assert not [order for order, times in seen.items() if times > 1]


def test_the_histories_reach_what_they_are_for():
    """Else the properties above hold for want of anything that could break them."""
    plan = []
    for value in range(60):
        plan += [
            ("delta", value % 4, value * 7 % 60),
            ("trade", value % 4, value % 12),
            ("time", 0, 50_000_000),
        ]
        plan += [("clock", 0, 0)] if value % 3 == 0 else []
        plan += [("again", value % 4, 3)] if value % 5 == 0 else []
        plan += [("snapshot", value % 4, value % 4)] if value % 3 == 0 else []
        plan += [("lost", value % 4, 0)] if value % 17 == 0 else []
    plan += [("snapshot", 0, 0), ("delta", 0, 24), ("delta", 0, 20)]  # one heavy bid, and gone
    plan += [("time", 0, 2_100_000_000), ("clock", 0, 0)] * 3
    log, repeated = history(plan)
    one = market()
    topics: Counter[str] = Counter()
    states: Counter[str] = Counter()
    resyncs = 0
    for offset, event in enumerate(log):
        one.apply(event, offset)
        outputs, asked, changes = answers(one)
        topics.update(output.topic for output in outputs)
        states.update(change.state for change in changes)
        resyncs += len(asked)
    counts = one.counts
    assert repeated and resyncs
    assert set(topics) == {"top-of-book", "normalized-books", "keyframes", "trades", "orders", "positions"}
    assert set(states) == {"live", "stale", "broken"}
    assert set(counts["orders"]) == {strategy.name for strategy in STRATEGIES}
    assert all(counts["orders"].values()), counts
    assert [run["strategy"] for run in counts["halted"]] == ["nervous"] * len(counts["halted"])
    assert counts["halted"] and counts["gaps"] and counts["duplicates"]
    assert all(counts[name][exchange] for name in ("snapshots", "deltas", "trades") for exchange, _ in BOOKS)
