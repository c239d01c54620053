"""The paper exchange next to hftbacktest: the same events, the same orders at the same moments, the same latency; who
fills what, and why not the same.

What differs is explained by trial: with hftbacktest's rules in place of ours, one after the other, until nothing
differs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from unittest import mock

from bench.entrants import locked_versions
from bench.paper_runs import PLACE, STEPS, Maker, Money, Result, Rules, Taker, hftbacktest, history, tradeflow
from bench.processes import ROOT
from tables.exact import text
from tradeflow.execution import paper, working

TARGET = ROOT / "docs" / "paper-exchange.md"
BEGIN, END = "<!-- papers -->", "<!-- end of papers -->"

SIZES = (Decimal("0.01"), Decimal("0.2"))
"""Of each order; a level holds about 0.15."""

STEPS_TOWARDS = (
    ("ours", False, False, working.SETTLE),
    ("a price that is passed fills in full", True, False, working.SETTLE),
    ("… what was taken is there again at once", True, True, working.SETTLE),
    ("… and a level's size counts at once", True, True, 0),
)
"""What differs from hftbacktest, rule by rule: (which, IN_FULL, FORGETS, SETTLE)."""


@dataclass
class Comparison:
    strategy: str
    size: Decimal
    orders: int
    theirs: Result
    ours: list[Result]
    """After each of STEPS_TOWARDS."""

    def differing(self, one: Result) -> int:
        """Orders that got another size, beyond what floats lose."""
        numbers = one.filled.keys() | self.theirs.filled.keys()
        pairs = [(one.filled.get(n, Decimal(0)), self.theirs.filled.get(n, Decimal(0))) for n in numbers]
        return sum(abs(a - b) > Decimal("1e-7") for a, b in pairs)


def compare(seconds: int, seed: int) -> list[Comparison]:
    events, found = history(seconds, seed), []
    for size in SIZES:
        theirs = hftbacktest(events, seconds, size)
        for name, strategy, orders in (
            ("taker", Taker(size=size, seconds=seconds), seconds - 1),
            ("maker", Maker(size=size, seconds=seconds), 2 * ((seconds - 1) // 3)),
        ):
            ours = []
            for _, in_full, forgets, settle in STEPS_TOWARDS:
                desk = type("Desk", (Rules,), {"IN_FULL": in_full, "FORGETS": forgets, "__slots__": ()})
                with mock.patch.object(paper, "Desk", desk), mock.patch.object(working, "SETTLE", settle):
                    ours.append(tradeflow(strategy, events))
            found.append(Comparison(name, size, orders, theirs[name], ours))
    return found


class Unexplained(AssertionError):
    """A difference is left where none should be: the models, or the text that explains them, have changed."""


def table(found: list[Comparison]) -> str:
    """Raises Unexplained if the last of STEPS_TOWARDS leaves a difference in any order, or in the money."""
    lines = [("", *(f"{one.strategy}, {text(one.size)} BTC" for one in found))]
    lines.append(("orders", *(f"{one.orders:,}" for one in found)))
    for who, results in (
        ("here", [one.ours[0] for one in found]),
        ("hftbacktest", [one.theirs for one in found]),
    ):
        lines.append((f"got something, {who}", *(f"{len(result.filled):,}" for result in results)))
        lines.append((f"BTC, {who}", *(f"{sum(result.filled.values()):.4f}" for result in results)))
    for place, (rules, *_) in enumerate(STEPS_TOWARDS):
        name = "another size: our rules" if not place else rules
        lines.append((name, *(str(one.differing(one.ours[place])) for one in found)))
    last = [
        (one.ours[-1].last.profit(one.ours[0].mid), one.theirs.last.profit(one.ours[0].mid)) for one in found
    ]
    lines.append(("profit after fees, USDT: here", *(_dollars(one.ours[0].money, one) for one in found)))
    lines.append(("hftbacktest, as it counts", *(f"{theirs:,.2f}" for _, theirs in last)))
    lines.append(("its rules here, counted as it counts", *(f"{ours:,.2f}" for ours, _ in last)))
    lines.append(("its rules here, all fills", *(_dollars(one.ours[-1].money, one) for one in found)))
    if any(one.differing(one.ours[-1]) for one in found) or any(
        abs(a - b) > Decimal("1e-6") for a, b in last
    ):
        raise Unexplained("\n".join(" | ".join(line) for line in lines))
    lines.insert(1, ("---", *("---:" for _ in found)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _dollars(money: Money, one: Comparison) -> str:
    return f"{money.profit(one.ours[0].mid):,.2f}"


def section(command: str, seconds: int, seed: int) -> str:
    """Of docs/paper-exchange.md."""
    return (
        (ROOT / "bench" / "papers.md")
        .read_text()
        .format(
            command=command,
            seconds=seconds,
            seed=seed,
            steps=STEPS,
            place=" ".join(PLACE),
            exchange=PLACE[0].capitalize(),
            events=len(history(seconds, seed)),
            version=locked_versions("hftbacktest", "hftbacktest")["hftbacktest"],
            table=table(compare(seconds, seed)),
        )
    )


def write(said: str) -> None:
    """Between its marks in the page."""
    before, _, rest = TARGET.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    TARGET.write_text(f"{before}{BEGIN}\n{said}{END}{after}")
