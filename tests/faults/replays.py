"""The long form of test_determinism.py: `python -m tests.faults.replays --seconds 60 --replays 10`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from tests.faults.live_run import live_stack, paper_again, record, replayed_in_pieces, sent, trade
from tradeflow.backtest.fills import Beside
from tradeflow.backtest.run import Job, run_job
from tradeflow.replay.command import replay_file


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="Of each live run.")
@click.option(
    "--replays", default=10, show_default=True, help="Of each recording, each with other cuts and restarts."
)
def main(seconds: float, replays: int) -> None:
    """One worker, then two of which one is killed; each recorded and replayed.  Ends with status 1 if any differs."""
    differ = 0
    for name, faults in (("one worker", False), ("two workers, one killed", True)):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "live.rec"
            with live_stack(Path(directory) / "stack") as stack:
                trade(stack, seconds, faults=faults)
                records = record(stack, file)
                orders, sha256 = sent(stack)
            replay, settled = replay_file(file)
            found, verdicts = replay.finish(settled)
            whole = found.same and verdicts.same and found.sha256_replayed == sha256
            again = [replayed_in_pieces(file, seed) for seed in range(replays)]
            same = sum((count, digest) == (orders, sha256) for count, digest, _ in again)
            differ += (not whole) + replays - same
            click.echo(
                f"{name}: {records:,} records, {orders:,} orders, {verdicts.identical:,} verdicts, SHA-256 {sha256}; "
                f"replay {'identical' if whole else found.first or verdicts.first}; {same} of {replays} in pieces "
                f"({sum(restarts for *_, restarts in again)} restarts) identical"
            )
            recorded, made = paper_again(file)
            alike = sum(made.get(key) == value for key, value in recorded.items())
            differ += len(recorded) - alike
            click.echo(
                f"  the paper exchange on the recorded log: {alike:,} of {len(recorded):,} reports identical"
            )
            click.echo(_fills(file))
    raise SystemExit(bool(differ))


def _fills(file: Path) -> str:
    """How far a backtest of the same recording is from the live paper run."""
    job = Job(file, (), (), None, 1.0)
    started = time.process_time()
    beside = Beside.nothing()
    one = run_job(job, beside)
    took = time.process_time() - started
    identical = all(run_job(job) == one for _ in range(9))
    rate = f"{one.events / took:,.0f} events/s of one core"
    said = f"backtest: 10 of 10 {'identical' if identical else 'DIFFERENT'}, {rate}"
    return "\n".join(f"  {line}" for line in (said, *beside.lines()))


if __name__ == "__main__":
    main()
