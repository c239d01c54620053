"""Exchanges to fuzz against: tapes of valid frames, and what a new connection gets at any point of one."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import NamedTuple

from tests.fuzz.mutations import dump, parse
from tests.fuzz.readings import (
    BinanceReader,
    BitmexReader,
    Change,
    CoinbaseReader,
    KrakenReader,
    Reader,
    fields,
    pad,
)
from tests.plain_books import DIRECTORY
from tradeflow.feeds.recorded import Recording
from tradeflow.simulator.binance import Binance
from tradeflow.simulator.bitmex import Bitmex
from tradeflow.simulator.coinbase import Coinbase
from tradeflow.simulator.instruments import listed
from tradeflow.simulator.kraken import Kraken
from tradeflow.simulator.market import Market

START = 1_700_000_000_000_000_000
LEVELS = 20
"""A side, of recorded snapshots: more would only be slow."""


class Tape(NamedTuple):
    """Valid frames of one connection, its snapshots first; Binance's come from REST: name -> body."""

    names: dict[str, str]
    """The exchange's -> ours."""
    frames: list[str]
    rest: dict[str, str]
    digits: dict[str, tuple[int, int]]
    """Kraken's: ours -> decimals of price and size."""


class Exchange:
    """`world`: the true books at this point of the tape."""

    def __init__(self, name: str, tape: Tape) -> None:
        self.name = name
        self.tape = tape
        self.rewind()

    def reader(self) -> Reader:
        """That of a new connection."""
        if self.name == "kraken":
            return KrakenReader(self.tape.names, self.tape.digits)
        classes = {"binance": BinanceReader, "bitmex": BitmexReader, "coinbase": CoinbaseReader}
        return classes[self.name](self.tape.names)

    def rewind(self) -> None:
        self.world = self.reader()
        self._position = 0
        for name, body in self.tape.rest.items():
            self.world.accept(self.world.rest(name, body).changes[0])  # type: ignore[attr-defined]
        while set(self.world.books) != set(self.tape.names.values()):
            assert self.next() is not None, f"{self.name}: a tape without all snapshots"

    def next(self) -> str | None:
        """The next frame, which happens in the world at the same time; None at the tape's end."""
        if self._position >= len(self.tape.frames):
            return None
        frame = self.tape.frames[self._position]
        self._position += 1
        if isinstance(self.world, CoinbaseReader):
            self.world.sequence = None
        elif isinstance(self.world, KrakenReader):
            frame = self.world.seal(frame)
        reading = self.world.read(frame)
        assert reading.kind != "unusable", frame[:2_000]
        for change in reading.changes:
            self.world.accept(change)
        return frame

    def is_sound(self) -> bool:
        """Recorded snapshots were cut short: their books can run dry."""
        return all(bids and asks for bids, asks in self.world.books.values())

    # --- what a new connection is told ---

    def opening(self) -> list[str]:
        """The frames up to its snapshots."""
        frames = {
            "binance": [],
            "bitmex": ['{"info":"Welcome to the BitMEX Realtime API.","version":"2.0.0"}'],
            "coinbase": ['{"channel":"subscriptions","sequence_num":0,"events":[{"subscriptions":{}}]}'],
            "kraken": ['{"channel":"status","type":"update","data":[{"system":"online"}]}'],
        }[self.name]
        if self.name == "kraken":
            frames.append(self._instruments())
        for name, symbol in self.tape.names.items():
            bids, asks = ([*side.items()] for side in self.world.books[symbol])
            if self.name == "bitmex":
                frames.append(self._partial(name, symbol))
            elif self.name == "coinbase":
                rows = ",".join(
                    f'{{"side":"{side}","event_time":"2026-01-01T00:00:00Z","price_level":"{price}",'
                    f'"new_quantity":"{size}"}}'
                    for side, rows in (("bid", bids), ("offer", asks))
                    for price, size in rows
                )
                frames.append(
                    f'{{"channel":"l2_data","timestamp":"2026-01-01T00:00:00Z","sequence_num":{len(frames)},'
                    f'"events":[{{"type":"snapshot","product_id":"{name}","updates":[{rows}]}}]}}'
                )
            elif self.name == "kraken":
                frames.append(self._kraken_snapshot(name, symbol))
        return frames

    def rest(self, name: str) -> str:
        """Binance's answer of the whole book."""
        assert isinstance(self.world, BinanceReader)
        symbol = self.tape.names[name]
        bids, asks = ([list(level) for level in side.items()] for side in self.world.books[symbol])
        return json.dumps({"lastUpdateId": self.world.last[symbol], "bids": bids, "asks": asks})

    def _partial(self, name: str, symbol: str) -> str:
        assert isinstance(self.world, BitmexReader)
        sizes = dict(zip(("Buy", "Sell"), self.world.books[symbol], strict=True))
        rows = ",".join(
            f'{{"symbol":"{name}","id":{key},"side":"{side}","size":{sizes[side][price]},"price":{price},'
            f'"timestamp":"2026-01-01T00:00:00.000Z"}}'
            for (side, key), price in self.world.ids[symbol].items()
        )
        return f'{{"table":"orderBookL2","action":"partial","keys":["symbol","id","side"],"data":[{rows}]}}'

    def _instruments(self) -> str:
        pairs = ",".join(
            f'{{"symbol":"{name}","price_precision":{digits[0]},"qty_precision":{digits[1]}}}'
            for name, symbol in self.tape.names.items()
            for digits in [self.tape.digits[symbol]]
        )
        return f'{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{pairs}]}}}}'

    def _kraken_snapshot(self, name: str, symbol: str) -> str:
        assert isinstance(self.world, KrakenReader)
        price_digits, size_digits = self.tape.digits[symbol]
        bids, asks = self.world.books[symbol]
        sides = [
            ",".join(
                f'{{"price":{pad(price, price_digits)},"qty":{pad(size, size_digits)}}}'
                for price, size in side.items()
            )
            for side in (bids, asks)
        ]
        checksum = self.world.checksum(Change(symbol, True, bids, asks))
        return (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{name}","bids":[{sides[0]}],'
            f'"asks":[{sides[1]}],"checksum":{checksum},"timestamp":"2026-01-01T00:00:00Z"}}]}}'
        )


def simulated(exchange: str, symbols: list[str], steps: int, seed: int) -> Tape:
    """What a client of the simulated exchange receives, of the whole books."""
    instruments = listed([exchange], symbols)
    market = Market(instruments, seed=seed, rate=50, depth=10, start=START)
    venue = {"binance": Binance, "bitmex": Bitmex, "coinbase": Coinbase, "kraken": Kraken}[exchange](market)
    client = venue.new_client(None)  # type: ignore[arg-type]
    names = [i.name for i in instruments]
    rest = {}
    if exchange == "binance":
        streams = [f"{name.lower()}@{kind}" for name in names for kind in ("depth@100ms", "aggTrade")]
        venue.received(client, {"method": "SUBSCRIBE", "params": streams})
        client._queue.clear()
        for i in instruments:
            book = market.books[exchange, i.symbol]
            sides = (
                [[i.price_text(price), i.size_text(lots)] for price, lots in ladder.top(1_000)]
                for ladder in (book.bids, book.asks)
            )
            rest[i.name] = json.dumps(
                {"lastUpdateId": book.sequence, **dict(zip(("bids", "asks"), sides, strict=True))}
            )
    elif exchange == "bitmex":
        topics = [f"{table}:{name}" for name in names for table in ("orderBookL2", "trade")]
        venue.received(client, {"op": "subscribe", "args": topics})
    elif exchange == "coinbase":
        for channel in ("level2", "market_trades", "heartbeats"):
            venue.received(client, {"type": "subscribe", "channel": channel, "product_ids": names})
    else:
        for channel in ("book", "trade"):
            params = {"channel": channel, "symbol": names, "depth": 10}
            venue.received(client, {"method": "subscribe", "params": params})
    for step in range(steps):
        now = START + step * 20_000_000
        for update in market.step(now):
            venue.publish(update)
        if step % 50 == 0:
            venue.beat(now)
    return Tape(
        {i.name: i.symbol for i in instruments},
        [frame.decode() for frame in client._queue],
        rest,
        {i.symbol: (i.price_decimals, i.size_decimals) for i in instruments},
    )


def recorded(exchange: str) -> Tape | None:
    """The same of recorded frames, with their snapshots cut short; None where there are none."""
    if not (DIRECTORY / f"{exchange.upper()}.0").exists():
        return None
    recording = Recording(DIRECTORY, exchange.upper())
    texts = [frame.text for frame in recording.frames()]
    return {"binance": _binance, "bitmex": _bitmex, "coinbase": _coinbase, "kraken": _kraken}[exchange](
        recording, texts
    )


def _binance(recording: Recording, texts: list[str]) -> Tape:
    names = {symbol.replace("-", ""): symbol for symbol in recording.symbols}
    rest = {}
    for url, bodies in recording.answers().items():
        if match := re.search(r"symbol=([A-Z]+)", url):
            body = json.loads(bodies[0])
            rest[match[1]] = json.dumps(body | {side: body[side][:LEVELS] for side in ("bids", "asks")})
    return Tape(names, [text for text in texts if "@depth" in text or "@aggTrade" in text], rest, {})


def _bitmex(recording: Recording, texts: list[str]) -> Tape:
    names = {"XBTUSD": "BTC-USD-PERP", "ADAUSDT": "ADA-USDT-PERP"}
    known: set[tuple[str, str, str]] = set()
    frames = []
    for text in texts:
        message = parse(text)
        frame = dict(message)
        rows = frame.get("data")
        if (
            frame.get("table") not in ("orderBookL2", "trade")
            or not rows
            or fields(rows[0])["symbol"] not in names
        ):
            continue
        if frame["table"] == "orderBookL2":
            if frame["action"] == "partial":
                sells = [row for row in rows if fields(row)["side"] == "Sell"]
                buys = [row for row in rows if fields(row)["side"] == "Buy"]
                sells.sort(key=lambda row: Decimal(fields(row)["price"]))
                buys.sort(key=lambda row: -Decimal(fields(row)["price"]))
                rows[:] = sells[:LEVELS] + buys[:LEVELS]
            keep = []
            for row in rows:
                entry = fields(row)
                key = (entry["symbol"], entry["side"], entry["id"])
                if frame["action"] in ("partial", "insert"):
                    known.add(key)
                if key in known:
                    keep.append(row)
                if frame["action"] == "delete":
                    known.discard(key)
            rows[:] = keep
        if rows:
            frames.append(dump(message))
    return Tape(names, frames, {}, {})


def _coinbase(recording: Recording, texts: list[str]) -> Tape:
    names = {symbol: symbol for symbol in recording.symbols}
    frames = []
    for text in texts:
        message = parse(text)
        frame = dict(message)
        if frame["channel"] not in ("l2_data", "market_trades", "heartbeats"):
            continue
        for event in frame["events"]:
            content = dict(event)
            if content.get("type") == "snapshot" and "updates" in content:
                rows = content["updates"]
                best = [
                    [row for row in rows if fields(row)["side"] == side][:LEVELS] for side in ("bid", "offer")
                ]
                rows[:] = [*best[0], *best[1]]
        frames.append(dump(message))
    return Tape(names, frames[:3_000], {}, {})


def _kraken(recording: Recording, texts: list[str]) -> Tape:
    """Frames of the first WebSocket API, written as the second would."""
    frames, digits = [], {}
    names: dict[str, str] = {}
    for text in texts:
        frame = json.loads(text, parse_float=str, parse_int=str)
        if not isinstance(frame, list) or not frame[-2].startswith("book"):
            continue
        name = frame[-1].replace("XBT", "BTC")
        if name not in names and len(names) == 3:
            continue
        parts = {key: value for part in frame[1:-2] for key, value in part.items()}
        kind = "snapshot" if "as" in parts else "update"
        bids, asks = (parts.get(key + "s", parts.get(key, []))[:10] for key in "ba")
        names[name] = symbol = name.replace("/", "-")
        if kind == "snapshot":
            digits[symbol] = tuple(len(number.partition(".")[2]) for number in bids[0][:2])
        rows = [
            ",".join(f'{{"price":{level[0]},"qty":{level[1]}}}' for level in side) for side in (bids, asks)
        ]
        frames.append(
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{name}","bids":[{rows[0]}],'
            f'"asks":[{rows[1]}],"checksum":0,"timestamp":"2026-01-01T00:00:00.000000Z"}}]}}'
        )
    return Tape(names, frames, {}, digits)  # type: ignore[arg-type]
