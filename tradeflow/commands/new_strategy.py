"""`tradeflow new-strategy NAME`: a strategy of one's own and its test, to begin with."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from tradeflow.commands.verb import verb

STRATEGY = '''\
"""{title}: keeps one order at the best bid of one exchange, and sells what it has bought at the best ask."""

from decimal import Decimal

from tradeflow import Strategy, Struct, buy, cancel, sell, timer


class {title}(Strategy):
    exchange: str = "binance"  # parameters: `[{name}]` in strategies.toml sets them
    size: Decimal = Decimal("0.01")

    class State(Struct):  # one for each symbol, kept over restarts; every field needs a default
        fills: int = 0
        denied: bool = False

    def on_book(self, book, ctx):  # after each event that leaves a book live
        if book.exchange != self.exchange or ctx.orders or ctx.state.denied:
            return
        held = ctx.position(self.exchange).size
        if held > 0:
            yield sell(book, book.ask.price, held, post_only=True, tag="exit")
        else:
            yield buy(book, book.bid.price, self.size, post_only=True, tag="enter")

    def on_execution(self, execution, ctx):  # what became of its own orders: verdicts, fills, cancels
        if execution.is_fill:
            ctx.state.fills += 1
        elif execution.status == "DENIED":  # by the risk gate: at once it would be denied again
            ctx.state.denied = True

    @timer(seconds=10)  # of event time
    def requote(self, ctx):
        ctx.state.denied = False
        yield from map(cancel, ctx.orders)
'''

TEST = '''\
"""{title} on events that are made up here: no Kafka, a virtual clock."""

from decimal import Decimal

from {name} import {title}

from tradeflow import Trial


def test_it_buys_at_the_bid_and_sells_at_the_ask():
    strategy = {title}()
    trial = Trial(strategy)
    trial.book("binance", bid="100", ask="101")
    (bought,) = trial.sent
    assert (bought.side, bought.price, bought.size) == ("buy", Decimal(100), Decimal("0.01"))
    trial.fill(bought, liquidity="maker")
    trial.book("binance", bid="100", ask="102")
    assert (trial.sent[-1].side, trial.sent[-1].price) == ("sell", Decimal(102))
    assert trial.state(strategy).fills == 1


def test_it_quotes_anew():
    trial = Trial({title}())
    trial.book("binance", bid="100", ask="101")
    trial.accept(trial.sent[0])
    trial.advance(seconds=10)
    assert trial.sent[-1].command == "CANCEL"
    trial.report(trial.sent[0], "CANCELED", leaves_size="0")
    trial.book("binance", bid="99", ask="101")
    assert trial.sent[-1].price == Decimal(99)


def test_it_waits_after_a_denial():
    trial = Trial({title}())
    trial.book("binance", bid="100", ask="101")
    trial.deny(trial.sent[0], "HALTED")
    trial.book("binance", bid="99", ask="101")
    assert len(trial.sent) == 1
    trial.advance(seconds=10)
    trial.book("binance", bid="99", ask="101")
    assert len(trial.sent) == 2
'''


@verb(
    "new-strategy",
    "tradeflow new-strategy scalper           # scalper.py and test_scalper.py",
    "pytest test_scalper.py",
    "STRATEGIES=scalper:Scalper make demo",
)
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Where to write; by default here.",
)
def new_strategy_command(name: str, directory: Path) -> None:
    """Write a strategy and its test to begin with.

    NAME.py works as it is: it quotes on one exchange. test_NAME.py tries it on events that are made up there."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise click.UsageError(f"{name!r}: a module's name is needed: lower case letters, digits and _")
    title = "".join(part.capitalize() for part in name.split("_"))
    files = {directory / f"{name}.py": STRATEGY, directory / f"test_{name}.py": TEST}
    for file in files:
        if file.exists():
            raise click.ClickException(f"{file} is there already: choose another name, or move it away")
    for file, text in files.items():
        file.write_text(text.format(name=name, title=title), encoding="utf-8")
        click.echo(f"{file} written")
    click.echo(
        f"test it: pytest {directory / f'test_{name}.py'}; run it: STRATEGIES={name}:{title} make demo"
    )
