"""A live paper run is recorded, and its replays send its orders: after kill -9 and a rebalance, cut anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.live_run import live_stack, paper_again, record, replayed_in_pieces, sent, trade
from tradeflow.replay.command import replay_file

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(300)]


def test_replays_of_a_live_run_send_its_orders(tmp_path: Path) -> None:
    file = tmp_path / "live.rec"
    with live_stack(tmp_path / "stack") as stack:
        trade(stack, 16, faults=True)
        assert record(stack, file) > 3_000
        orders, sha256 = sent(stack)
    assert orders > 20
    replay, settled = replay_file(file)
    found, verdicts = replay.finish(settled)
    assert found.same and (found.identical, found.not_compared) == (orders, 0), found.first
    assert found.sha256_replayed == found.sha256_recorded == sha256
    # Of the last orders the gate may have decided after the end of what was recorded.
    assert verdicts.same and verdicts.identical + verdicts.not_compared == verdicts.recorded, verdicts.first
    assert verdicts.identical > 20
    reported, made = paper_again(file)
    assert len(reported) > 20
    assert {key: made[key] for key in reported} == reported, "fills are a function of the log"
    restarts = 0
    for seed in (1, 2, 3):
        again, digest, count = replayed_in_pieces(file, seed)
        assert (again, digest) == (orders, sha256)
        restarts += count
    assert restarts
