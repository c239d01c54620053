"""A replay sends what was sent, wherever the recording was cut; and it says so where it doesn't."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_histories import BOOKS, history, market, steps

from tradeflow.recording import Header, Record
from tradeflow.replay import Comparison, Replay
from tradeflow.replay.comparison import canonical

CAUSED = ("orders", "executions")


def header(first: int = 0) -> Header:
    return Header(tradeflow="0", holds="topics", created=0, books=BOOKS, first={"market-events": {0: first}})


def live(plan, cut: int = 0) -> tuple[list[Record], list[Record]]:
    """(log, what it caused) from offset `cut` on, with the checkpoint before that."""
    events, _ = history(plan)
    one, log, caused = market(), [], []
    for offset, event in enumerate(events):
        if offset == cut and cut:
            log += [
                Record("checkpoint", 0, cut - 1, 0, f"{table}/{key}".encode(), value)
                for (table, key), value in one.take_dirty().items()
            ]
        one.apply(event, offset)
        outputs = one.take_outputs()
        if offset >= cut:
            taken = event.receipt_time // 1_000_000
            log.append(Record("market-events", 0, offset, taken, b"", msgspec.json.encode(event)))
            caused += [
                Record(o.topic, 0, len(caused), offset, o.key, o.value) for o in outputs if o.topic in CAUSED
            ]
    return log, caused


def replayed(log: list[Record], first: int = 0, settled: bool = True):
    replay = Replay(header(first), lambda _: market(want_changes=False))
    replay.apply(log)
    return replay.finish(settled)[0]


@settings(max_examples=25, deadline=None)
@given(steps, st.randoms(use_true_random=False))
def test_a_replay_is_identical_in_whatever_order_topics_were_read(plan, random):
    log, caused = live(plan)
    # Each partition keeps its own order; how the two are interleaved means nothing.
    mixed, left = [], [list(log), list(caused)]
    while any(left):
        mixed.append(random.choice([side for side in left if side]).pop(0))
    verdict = replayed(mixed)
    assert verdict.same
    assert verdict.recorded == verdict.replayed == len(caused)
    assert verdict.sha256_recorded == verdict.sha256_replayed == replayed(log + caused).sha256_replayed


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(1, 30))
def test_a_replay_from_a_checkpoint_is_identical(plan, cut):
    log, caused = live(plan, cut)
    if sum(record.topic == "market-events" for record in log) == 0:
        return
    verdict = replayed(log + caused, cut)
    assert verdict.same
    assert verdict.identical == len(caused)


def busy(seed: int = 1) -> list[tuple[str, int, int]]:
    draw = random.Random(seed)
    plan = []
    for _ in range(200):
        plan += [
            ("delta", draw.randrange(4), draw.randrange(60)),
            ("trade", draw.randrange(4), draw.randrange(12)),
        ]
        plan += [("snapshot", draw.randrange(4), draw.randrange(4))] if draw.random() < 0.3 else []
        plan += [("time", 0, 40_000_000), ("clock", 0, 0)] if draw.random() < 0.3 else []
    return plan


def changed(record: Record, **fields) -> Record:
    value = msgspec.json.decode(record.value) | fields
    return record._replace(value=msgspec.json.encode(value))


def test_every_kind_of_difference_is_found():
    log, caused = live(busy())
    assert len(caused) > 100
    middle = next(n for n in range(len(caused) // 2, len(caused)) if b'"NEW"' in caused[n].value)
    order_id = msgspec.json.decode(caused[middle].value)["order_id"]

    wrong = [*caused[:middle], changed(caused[middle], size="7777"), *caused[middle + 1 :]]
    verdict = replayed(log + wrong)
    assert (verdict.changed, verdict.missing, verdict.extra) == (1, 0, 0)
    assert verdict.first.startswith(f"{order_id}/NEW: recorded {{") and '"size":"7777"' in verdict.first
    assert verdict.sha256_recorded != verdict.sha256_replayed

    verdict = replayed(log + caused[:middle] + caused[middle + 1 :])
    assert (verdict.changed, verdict.missing, verdict.extra) == (0, 0, 1)
    assert "not recorded" in verdict.first and order_id in verdict.first

    verdict = replayed([*log, *caused, changed(caused[middle], order_id="f" * 32)])
    assert (verdict.changed, verdict.missing, verdict.extra) == (0, 1, 0)
    assert "not sent by the replay" in verdict.first

    verdict = replayed([*log, *caused, changed(caused[middle], size="7777")])
    assert verdict.conflicting == 1 and not verdict.same
    verdict = replayed([*log, *caused, caused[middle]])  # sent again after a crash: the same bytes
    assert verdict.same and verdict.recorded == len(caused)


def test_without_the_state_at_its_beginning_nothing_is_claimed():
    log, caused = live(busy(), 100)
    events = [record for record in log if record.topic == "market-events"]
    verdict = replayed(events + caused, 100)
    assert verdict.identical < len(caused)
    assert verdict.same and verdict.not_compared and not verdict.first


def test_what_the_ends_of_a_recording_cut_off_is_no_difference():
    log, caused = live(busy())
    verdict = replayed(log[:-50] + caused)  # orders of events that weren't recorded any more
    assert verdict.same and verdict.not_compared
    verdict = replayed(log + caused[:-20])
    assert not verdict.same
    verdict = replayed(log + caused[:-20], settled=False)  # the workers were not so far
    assert verdict.same and verdict.not_compared


def test_the_sha256_is_the_documented_one():
    """By hand, so that anybody can reckon it."""
    log, caused = live(busy())
    lines = {}
    for record in caused:
        order = msgspec.json.decode(record.value)
        lines[order["order_id"], order["command"]] = canonical(record.value)
    expected = hashlib.sha256(
        b"".join(hashlib.sha256(lines[key]).digest() for key in sorted(lines))
    ).hexdigest()
    assert replayed(log + caused).sha256_recorded == expected


def test_records_that_no_worker_can_use_are_counted():
    log, caused = live(busy())
    replay = Replay(header(), lambda _: market())
    unusable = [Record(topic, 0, 0, 0, b"", b"{") for topic in ("market-events", "orders")]
    replay.apply([*unusable, *log, *caused])
    assert replay.unusable == 2
    assert replay.events == len(log)


def test_contents_are_kept_only_until_both_sides_have_them():
    comparison = Comparison()
    for number in range(1000):
        comparison.recorded(0, str(number), number, b'{"a":1}')
        comparison.replayed(0, str(number), number, b'{"a": 1}')
    assert not any(comparison._lone.values())
    assert comparison.verdict(lambda _: (-1, 10**9)).identical == 1000


@pytest.mark.parametrize("value", [b'{"b": [1, "x"], "a": null}', b'{"a":null,"b":[1,"x"]}'])
def test_canonical_json_has_one_spelling(value):
    assert canonical(value) == b'{"a":null,"b":[1,"x"]}'


def test_a_clock_that_has_jumped_moves_event_time_as_it_did_live():
    """The broker's time is part of the log: receipt times far ahead of it don't count, in a replay neither."""
    events, _ = history(busy())
    live_one, log, caused = market(), [], []
    for offset, event in enumerate(events):
        appended = event.receipt_time // 1_000_000
        if offset % 40 == 20:
            event = msgspec.structs.replace(event, receipt_time=event.receipt_time + 3600 * 10**9)
        live_one.apply(event, offset, appended * 1_000_000)
        log.append(Record("market-events", 0, offset, appended, b"", msgspec.json.encode(event)))
        caused += [
            Record(o.topic, 0, 0, 0, o.key, o.value) for o in live_one.take_outputs() if o.topic == "orders"
        ]
    verdict = replayed(log + caused)
    assert verdict.same and verdict.identical == len(caused) > 50
