from __future__ import annotations

import msgspec

from tradeflow.messages import Steer
from tradeflow.risk import Halts


def steered(*words: tuple[str, str, str]) -> Halts:
    halts = Halts()
    for time, (action, strategy, symbol) in enumerate(words):
        halts.steer(
            Steer(
                receipt_time=time,
                offset=time,
                action=action,
                strategy=strategy,
                symbol=symbol,
                by="op",
                reason="why",
            )
        )
    return halts


def word(halts: Halts, strategy: str = "s", symbol: str = "BTC-USDT") -> tuple[str, str] | None:
    found = halts.on(strategy, symbol)
    return found and (found[0], found[1].action)


def test_nothing_is_halted_at_first():
    assert word(steered()) is None


def test_each_scope_reaches_what_it_names():
    assert word(steered(("halt", "", ""))) == ("everything", "halt")
    assert word(steered(("halt", "s", ""))) == ("s", "halt")
    assert word(steered(("halt", "other", ""))) is None
    assert word(steered(("halt", "", "BTC-USDT"))) == ("BTC-USDT", "halt")
    assert word(steered(("halt", "", "ETH-USDT"))) is None
    assert word(steered(("halt", "s", "BTC-USDT"))) == ("s on BTC-USDT", "halt")
    assert word(steered(("halt", "s", "ETH-USDT"))) is None


def test_the_strongest_word_counts():
    assert word(steered(("reduce-only", "", ""), ("halt", "s", ""))) == ("s", "halt")
    assert word(steered(("halt", "", ""), ("reduce-only", "s", ""))) == ("everything", "halt")
    assert word(steered(("reduce-only", "s", ""), ("reduce-only", "", ""))) == ("everything", "reduce-only")


def test_the_last_word_on_a_scope_counts():
    assert word(steered(("halt", "", ""), ("reduce-only", "", ""))) == ("everything", "reduce-only")
    assert word(steered(("halt", "", ""), ("resume", "", ""))) is None


def test_resume_lifts_its_own_scope_only():
    assert word(steered(("halt", "s", ""), ("resume", "", ""))) == ("s", "halt")
    assert word(steered(("halt", "", ""), ("resume", "s", ""))) == ("everything", "halt")


def test_parameters_halt_nothing():
    assert word(steered(("parameters", "s", ""))) is None


def test_they_outlive_a_checkpoint():
    halts = steered(("halt", "s", ""), ("reduce-only", "", "BTC-USDT"))
    again = Halts.decode(msgspec.json.decode(msgspec.json.encode(halts.encode())))
    assert again.scopes == halts.scopes
    found = again.on("s", "ETH-USDT")
    assert found is not None and found[1] == ("halt", "op", "why", 0)
