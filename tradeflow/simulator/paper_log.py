"""A recording of what the simulated exchanges and a paper trading worker would write, without either: seeded, so the
same arguments give the same bytes.  `python -m tradeflow.simulator.paper_log FILE`

The events are those of the synthetic market (market.py) in the form that feeds and `normalize` give them, on a
clock of their own; books, strategies, gate and paper exchange are the real ones.  It is what
`make sample` writes, and what long recordings for measurements are made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from tradeflow import messages
from tradeflow.market import Market as TradedMarket
from tradeflow.market import Output
from tradeflow.market.loop import Loop
from tradeflow.messages import (
    Clock,
    Command,
    Delta,
    Execution,
    Heartbeat,
    Level,
    Listing,
    MarketEvent,
    Order,
    Snapshot,
    Trade,
)
from tradeflow.partitions import load_maps
from tradeflow.recording import Header, Record, RecordingWriter
from tradeflow.recording.form import version
from tradeflow.recording.setup import describe, new_market, trading_of
from tradeflow.settings import Settings
from tradeflow.simulator.book import MarketBook, Update
from tradeflow.simulator.instruments import INSTRUMENTS, Instrument
from tradeflow.simulator.ladder import Change
from tradeflow.simulator.market import Market
from tradeflow.strategies import load_strategies
from tradeflow.worker.trading_setup import TradingFiles

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
"""2026-01-01, where the virtual clock begins."""
DELAY = 2_000_000
"""From an exchange to our socket, ns."""
MIN_NOTIONAL = {"binance": "5", "coinbase": "1", "kraken": "0.5"}


class _Feed:
    """Numbers the records of one book, and of its trades, as a feed does."""

    def __init__(self, book: MarketBook, epoch: int) -> None:
        self.book = book
        self.instrument = book.instrument
        self.epoch = epoch
        self.sequence = self.trades = -1
        self.quiet = False

    def place(self, sequence: int, now: int) -> dict[str, object]:
        i = self.instrument
        return {
            "exchange": i.exchange,
            "symbol": i.symbol,
            "epoch": self.epoch,
            "sequence": sequence,
            "receipt_time": now,
        }

    def listed(self, now: int) -> MarketEvent:
        return messages.Instrument(**self.place(0, now), listing=listing(self.instrument))  # type: ignore[arg-type]

    def snapshot(self, now: int) -> MarketEvent:
        self.sequence += 1
        bids, asks = (
            [
                (self.instrument.price_text(p), self.instrument.size_text(n))
                for p, n in sorted(ladder.lots.items())
            ]
            for ladder in (self.book.bids, self.book.asks)
        )
        return msgspec.convert(
            {"type": "snapshot", **self.place(self.sequence, now), "bids": bids, "asks": asks}, Snapshot
        )

    def update(self, update: Update) -> Iterator[MarketEvent]:
        self.quiet = False
        now = update.time + DELAY
        for trade in update.trades:
            self.trades += 1
            fields = {
                "side": trade.side,
                "price": self.instrument.price_text(trade.price),
                "size": self.instrument.size_text(trade.lots),
                "trade_id": str(trade.trade_id),
                "order_type": trade.order_type,
                "exchange_time": update.time,
            }
            yield msgspec.convert({"type": "trade", **self.place(self.trades, now), **fields}, Trade)
        self.sequence += 1
        fields = {
            "bids": self._levels(update.bids),
            "asks": self._levels(update.asks),
            "exchange_time": update.time,
            "exchange_sequence": update.sequence if self.instrument.exchange == "binance" else None,
        }
        yield msgspec.convert({"type": "delta", **self.place(self.sequence, now), **fields}, Delta)

    def heartbeat(self, now: int) -> MarketEvent:
        return msgspec.convert({"type": "heartbeat", **self.place(self.sequence, now)}, Heartbeat)

    def _levels(self, changes: list[Change]) -> list[Level]:
        return [
            (self.instrument.price_text(price), self.instrument.size_text(after))
            for price, _, after in changes
        ]


class _LateLoop:
    """A market whose orders and executions come back through its log after `delay` ns of event time, as by Kafka."""

    def __init__(self, market: TradedMarket, delay: int) -> None:
        self._market = market
        self._delay = delay
        self._late: deque[tuple[int, MarketEvent]] = deque()
        self._offset = self._orders = -1

    def apply(self, event: MarketEvent) -> tuple[list[MarketEvent], list[Output]]:
        """(what was due before, and the event; what was said to everybody else), each in order."""
        log: list[MarketEvent] = []
        said: list[Output] = []
        while self._late and self._late[0][0] <= event.receipt_time:
            log.append(self._late.popleft()[1])
            self._one(log[-1], said)
        log.append(event)
        self._one(event, said)
        return log, said

    def _one(self, event: MarketEvent, said: list[Output]) -> None:
        market = self._market
        self._offset += 1
        market.apply(event, self._offset)
        due = market.event_time + self._delay
        for output in market.take_outputs():
            if output.topic == "market-events":
                self._late.append((due, msgspec.json.decode(output.value, type=Execution)))
                continue
            said.append(output)
            if output.topic == "orders":
                self._orders += 1
                order = msgspec.json.decode(output.value, type=Order)
                self._late.append((due, Command(order=order, offset=self._orders, receipt_time=due)))


def listing(i: Instrument) -> Listing:
    """What the feeds make of the simulated exchanges' answers."""
    terms = Listing(
        kind="spot",
        base=i.base,
        quote=i.quote,
        tick=i.tick_text,
        lot=i.lot_text,
        min_notional=MIN_NOTIONAL.get(i.exchange),
    )
    if i.exchange != "bitmex":
        return terms
    inverse = i.base == "BTC"
    return msgspec.structs.replace(
        terms,
        kind="inverse" if inverse else "quanto",
        multiplier="1" if inverse else "0.000001",
        settle="BTC",
    )


def events(seconds: float, rate: float, depth: int, seed: int) -> Iterator[MarketEvent]:
    """All exchanges' events in the order of time, with a clock record a second (for every partition)."""
    market = Market(seed=seed, rate=rate, depth=depth, history=1, start=START)
    feeds = {
        (i.exchange, i.symbol): _Feed(market.books[i.exchange, i.symbol], epoch)
        for epoch, i in enumerate(INSTRUMENTS)
    }
    for feed in feeds.values():
        yield feed.listed(START + DELAY)
        yield feed.snapshot(START + DELAY)
    second = 1
    for step in range(1, round(seconds * rate) + 1):
        now = START + round(step / rate * SECOND)
        for update in market.step(now):
            yield from feeds[update.book.instrument.exchange, update.book.instrument.symbol].update(update)
        while now >= START + second * SECOND:
            for feed in feeds.values():
                if feed.quiet:
                    yield feed.heartbeat(now + DELAY)
                feed.quiet = True
            yield Clock(receipt_time=now + DELAY)
            second += 1


def write(
    file: Path,
    seconds: float,
    *,
    rate: float = 60.0,
    depth: int = 20,
    seed: int = 1,
    paper: bool = True,
    delay: float = 0.0,
) -> int:
    """Write the recording; `paper`: with strategies and all that follows from them, each time that it goes through the
    log `delay` seconds later.  Returns how many records."""
    maps, config = load_maps(), Settings.model_construct()
    books = [(i.exchange, i.symbol) for i in INSTRUMENTS if i.symbol in maps.symbols]
    strategies = load_strategies(config.strategies, maps)
    header = describe(
        config,
        strategies,
        TradingFiles(paper_latency=config.paper_latency),
        books,
        maps.symbols,
        tradeflow=version(),
        holds="topics",
        created=START,
        first={
            topic: dict.fromkeys(range(maps.symbols.count), 0)
            for topic in ("market-events", "orders", "executions")
        },
    )
    with file.open("wb") as data, RecordingWriter(data, header) as writer:
        loops = _loops(header, maps.symbols.count, round(delay * SECOND)) if paper else {}
        encode = msgspec.json.Encoder().encode
        offsets: dict[tuple[str, int], int] = {}

        def put(topic: str, partition: int, time: int, key: bytes, value: bytes) -> None:
            offset = offsets[topic, partition] = offsets.get((topic, partition), -1) + 1
            writer.write(Record(topic, partition, offset, time // 1_000_000, key, value))

        for event in events(seconds, rate, depth, seed):
            symbol = getattr(event, "symbol", "")
            for partition in [maps.symbols[symbol]] if symbol else range(maps.symbols.count):
                log, said = loops[partition].apply(event) if paper else ([event], [])
                for one in log:
                    put("market-events", partition, event.receipt_time, _key(one), encode(one))
                for topic, key, value in said:
                    if topic in ("orders", "executions"):
                        put(topic, partition, event.receipt_time, key, value)
        return writer.written


def _loops(header: Header, count: int, delay: int) -> Mapping[int, Loop | _LateLoop]:
    strategies = load_strategies([one.load for one in header.strategies], load_maps())
    trading = trading_of(header, strategies)
    markets = [new_market(header, n, strategies, trading, venue=trading.venue) for n in range(count)]
    return {n: _LateLoop(one, delay) if delay else Loop(one) for n, one in enumerate(markets)}


def _key(event: MarketEvent) -> bytes:
    if isinstance(event, Command):
        return event.order.symbol.encode()
    return str(getattr(event, "symbol", "")).encode()


@click.command("paper-log")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--seconds", default=90.0, show_default=True, type=click.FloatRange(min=1), help="Of event time."
)
@click.option(
    "--rate", default=60.0, show_default=True, type=click.FloatRange(min=0.1), help="Updates a second."
)
@click.option("--depth", default=20, show_default=True, type=click.IntRange(10, 980), help="Levels a side.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--delay", default=0.0, show_default=True, help="Seconds that the log takes, of orders and of executions."
)
@click.option("--market-only", is_flag=True, help="Without strategies.")
def paper_log_command(
    file: Path, seconds: float, rate: float, depth: int, seed: int, delay: float, market_only: bool
) -> None:
    """Write a recording of the simulated exchanges and a paper run on them."""
    count = write(file, seconds, rate=rate, depth=depth, seed=seed, paper=not market_only, delay=delay)
    click.echo(f"{count:,} records in {file}, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    paper_log_command()
