"""Operators' words: what they may say, how it reaches every log once, and the verbs in front of it."""

from __future__ import annotations

import re

import msgspec
import pytest
from click.testing import CliRunner

from tradeflow.commands import halts, strategies, worker
from tradeflow.market import Market
from tradeflow.messages import Steer
from tradeflow.strategies.arbitrage import Arbitrage
from tradeflow.strategies.imbalance import Imbalance
from tradeflow.worker.operators import Word, WordError, steer_for
from tradeflow.worker.steering import Steering

BOOKS = [("binance", "BTC-USDT"), ("kraken", "BTC-USDT"), ("kraken", "ETH-USDT")]
STRATEGIES = [Imbalance(), Arbitrage()]


def steer(action, **word):
    return steer_for(action, Word(**word), "me", STRATEGIES, BOOKS)


def test_a_word_is_put_into_the_topics_form():
    said = steer("halt", strategy="imbalance", symbol="btc/usdt", reason="why")
    assert (said.action, said.strategy, said.symbol, said.reason, said.by) == (
        "halt",
        "imbalance",
        "BTC-USDT",
        "why",
        "me",
    )
    assert said.offset == -1 and said.receipt_time > 0
    assert steer("reduce-only", agent="spread-maker").strategy == "spread-maker", "whoever that is"
    assert steer("parameters", strategy="imbalance", parameters={"enter": "0.7"}).parameters == {
        "enter": "0.7"
    }


@pytest.mark.parametrize(
    ("action", "word", "says"),
    [
        ("stop", {}, "'stop' is none of halt, reduce-only, resume, parameters"),
        ("halt", {"strategy": "imbalanze"}, "STRATEGIES has no 'imbalanze', but arbitrage, imbalance"),
        ("halt", {"symbol": "SOL-USDT"}, "SOL-USDT is not served, but BTC-USDT, ETH-USDT"),
        ("halt", {"symbol": "?"}, r"\?"),
        ("halt", {"agent": "a b"}, "name a plain agent"),
        ("halt", {"agent": "one", "strategy": "imbalance"}, "no strategy beside it"),
        ("parameters", {"agent": "one", "parameters": {"enter": "1"}}, "for it has none"),
        ("halt", {"parameters": {"enter": "1"}}, "parameters are for the action `parameters`"),
        ("parameters", {"strategy": "imbalance"}, "which needs at least one"),
        ("parameters", {"parameters": {"enter": "1"}}, "name it, and no symbol"),
        ("parameters", {"strategy": "imbalance", "parameters": {"exit": "1"}}, "no parameter 'exit'"),
        ("parameters", {"strategy": "imbalance", "parameters": {"levels": "x"}}, r"levels='x'"),
    ],
)
def test_what_would_do_nothing_is_refused(action, word, says):
    with pytest.raises(WordError, match=says):
        steer(action, **word)


# --- into the logs ---


class Outbox:
    def __init__(self):
        self.sent = []

    def append(self, topic, partition, key, value):
        said = msgspec.json.decode(value, type=Steer)
        assert topic == "market-events"
        self.sent.append((partition, said.offset, said.action))

    def take(self):
        sent, self.sent = self.sent, []
        return sent


def test_words_reach_every_owned_partition_once_and_in_order():
    outbox, owned, live = Outbox(), {0, 2}, {}
    steering = Steering(outbox, lambda: owned, lambda: live)
    steering.note(3, steer("halt"))
    assert not outbox.take(), "known before this worker takes part"
    steering.copy(0)
    steering.copy(0)
    assert outbox.take() == [(0, 3, "halt")]
    steering.heard(3, steer("halt"))
    assert outbox.take() == [(2, 3, "halt")]
    steering.heard(5, steer("resume"))
    assert outbox.take() == [(0, 5, "resume"), (2, 5, "resume")]
    market = Market(1, BOOKS)
    market.trading.steered = 3
    live[1] = market
    steering.copy(1)
    assert outbox.take() == [(1, 5, "resume")], "that market has heard the first one"
    steering.forget()
    steering.copy(0)
    assert outbox.take() == [(0, 3, "halt"), (0, 5, "resume")], "all of it: what was copied may be another's"


# --- verbs ---


@pytest.fixture
def run(monkeypatch):
    said = []

    async def say(connection, steer):
        said.append(steer)
        return 7

    monkeypatch.setattr(halts, "say", say)

    def run(command, *arguments):
        done = CliRunner().invoke(command, arguments)
        return done, said

    return run


def test_halt_and_resume(run):
    done, said = run(halts.halt_command, "--strategy", "imbalance", "--reason", "odd")
    assert done.output == "halt: imbalance (control@7); in force on every worker within a second\n"
    assert (said[0].action, said[0].strategy, said[0].reason) == ("halt", "imbalance", "odd")
    assert "@" in said[0].by
    done, said = run(halts.halt_command, "--reduce-only", "--symbol", "BTCUSDT")
    assert (said[1].action, said[1].symbol) == ("reduce-only", "BTC-USDT")
    done, said = run(halts.resume_command)
    assert done.output.startswith("resume: everything (control@7)")
    done, said = run(halts.halt_command, "--strategy", "nobody")
    assert done.exit_code == 2 and "STRATEGIES has no 'nobody'" in done.output and len(said) == 3


def test_parameters_are_set(run):
    done, said = run(strategies.strategies_command, "set", "imbalance", "enter=0.7", "levels=3")
    assert done.exit_code == 0, done.output
    assert said[0].parameters == {"enter": "0.7", "levels": "3"}
    done, _ = run(strategies.strategies_command, "set", "imbalance", "enter")
    assert done.exit_code == 2 and "write each parameter as NAME=VALUE" in done.output
    done, _ = run(strategies.strategies_command, "set", "imbalance", "enter=high")
    assert done.exit_code == 2 and "enter='high'" in done.output


def test_strategies_are_listed(run, monkeypatch):
    one = {
        "strategy": "imbalance",
        "symbols": ["BTC-USDT"],
        "parameters": {"enter": "0.7", "symbols": "[]"},
        "orders": 12,
        "open_orders": 1,
        "pnl": {"USDT": "-1.2345"},
        "lag_ms": 1234.0,
        "halted": "",
        "steered": "",
        "shadow": True,
    }
    monkeypatch.setattr(
        worker,
        "get",
        lambda url, timeout: {
            "strategies": [one],
            "totals": [{**one, "symbols": ["BTC-USDT", "ETH-USDT"], "orders": 1400}],
            "silent_workers": ["http://w2"],
            "next": None,
        },
    )
    done, _ = run(strategies.strategies_command)
    assert "imbalance  BTC-USDT  enter=0.7" in done.output
    assert "-1.23 USDT  1.2 s  shadow" in done.output
    assert re.search(r"imbalance +all 2 +1,400 +1 +-1.23 USDT +1.2 s", done.output)
    assert "http://w2 doesn't answer" in done.output


def test_no_worker_is_told(run):
    done, _ = run(strategies.strategies_command, "--url", "http://127.0.0.1:9")
    assert done.exit_code == 3 and "no worker answers at http://127.0.0.1:9" in done.output
