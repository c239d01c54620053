"""Books and counts that plain code makes of the recorded frames, without any of the project's own."""

from __future__ import annotations

import functools
import json
import os
import zlib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

DIRECTORY = Path(
    os.environ.get("TRADEFLOW_RECORDINGS") or Path(__file__).parents[2] / "shared" / "recordings"
)

needs_recordings = [
    pytest.mark.recordings,
    pytest.mark.skipif(
        not (DIRECTORY / "BINANCE.0").exists(),
        reason=f"no recorded frames in {DIRECTORY}: not part of the project, see TRADEFLOW_RECORDINGS",
    ),
]

Sides = tuple[dict[str, str], dict[str, str]]
"""bids, asks: {price: size}, the exchange's digits."""


class Reference:
    """Books and counts from the raw frames, every number kept as the text that it was."""

    def __init__(self, name: str) -> None:
        self.books: dict[str, Sides] = {}
        self.counts: Counter[str] = Counter()
        frames: list[tuple[float, str]] = []
        for path in DIRECTORY.glob(f"{name}.ws.*"):
            for line in path.read_text().splitlines():
                if line and line[0].isdigit():
                    moment, frame = line.split(": ", 1)
                    frames.append((float(moment), frame))
        self.frames = [json.loads(frame, parse_float=str, parse_int=str) for _, frame in sorted(frames)]

    def snapshot(self, symbol: str, bids: Any, asks: Any) -> None:
        self.counts["snapshots"] += 1
        self.books[symbol] = (dict(bids), dict(asks))

    def delta(self, symbol: str, bids: Any, asks: Any) -> None:
        self.counts["deltas"] += 1
        for side, changes in zip(self.books[symbol], (bids, asks), strict=True):
            for price, size in changes:
                self.counts["levels"] += 1
                if Decimal(size) != 0:
                    side[price] = size
                elif price in side:
                    del side[price]
                else:
                    self.counts["removals of nothing"] += 1


@functools.cache
def binance() -> Reference:
    reference = Reference("BINANCE")
    last: dict[str, int] = {}
    for path in DIRECTORY.glob("BINANCE.http.*"):
        for line in path.read_text().splitlines():
            if "symbol=" in line:
                symbol = line.split("symbol=")[1].split("&")[0]
                book = json.loads(line.split(" -> ", 1)[1].split(": ", 1)[1])
                reference.snapshot(symbol, map(tuple, book["bids"]), map(tuple, book["asks"]))
                last[symbol] = book["lastUpdateId"]
    for frame in reference.frames:
        data = frame["data"]
        if data.get("e") == "aggTrade":
            reference.counts["trades"] += 1
        if data.get("e") == "depthUpdate" and int(data["u"]) > last[data["s"]]:
            assert int(data["U"]) <= last[data["s"]] + 1
            last[data["s"]] = int(data["u"])
            reference.delta(data["s"], data["b"], data["a"])
    return reference


@functools.cache
def kraken_v1() -> Reference:
    reference = Reference("KRAKEN")
    for frame in reference.frames:
        if not isinstance(frame, list):
            continue
        *_, channel, symbol = frame
        if channel == "trade":
            reference.counts["trades"] += len(frame[1])
        if not channel.startswith("book"):
            continue
        if "as" in frame[1]:
            reference.snapshot(symbol, [x[:2] for x in frame[1]["bs"]], [x[:2] for x in frame[1]["as"]])
            continue
        parts = {key: value for part in frame[1:-2] for key, value in part.items()}
        sides = [[x[:2] for x in parts.get(key, [])] for key in "ba"]
        reference.delta(symbol, *sides)
        bids, asks = reference.books[symbol]
        for side, worst in ((bids, min), (asks, max)):
            while len(side) > 1000:
                del side[worst(side, key=Decimal)]
        best = sorted(asks, key=Decimal)[:10], sorted(bids, key=Decimal, reverse=True)[:10]
        text = "".join(
            number.replace(".", "").lstrip("0")
            for side, prices in zip((asks, bids), best, strict=True)
            for price in prices
            for number in (price, side[price])
        )
        assert zlib.crc32(text.encode()) == int(parts["c"]), "the reference itself is wrong"
        reference.counts["checksums"] += 1
    return reference


@functools.cache
def bitmex() -> Reference:
    reference = Reference("BITMEX")
    ids: dict[tuple[str, str, str], str] = {}
    for frame in reference.frames:
        if frame.get("table") == "trade":
            reference.counts["trades"] += len(frame["data"])
        if frame.get("table") != "orderBookL2" or not frame["data"]:
            continue
        symbol, action = frame["data"][0]["symbol"], frame["action"]
        sides: dict[str, list[tuple[str, str]]] = {"Buy": [], "Sell": []}
        for entry in frame["data"]:
            key = (symbol, entry["side"], entry["id"])
            if "price" in entry and action in ("partial", "insert"):
                ids[key] = entry["price"]
            price = ids.pop(key) if action == "delete" else ids[key]
            sides[entry["side"]].append((price, "0" if action == "delete" else entry["size"]))
        apply = reference.snapshot if action == "partial" else reference.delta
        apply(symbol, sides["Buy"], sides["Sell"])
    return reference


@functools.cache
def okx() -> Reference:
    reference = Reference("OKX")
    for frame in reference.frames:
        channel = frame.get("arg", {}).get("channel")
        if "data" not in frame or channel not in ("books", "trades"):
            continue
        for data in frame["data"]:
            if channel == "trades":
                reference.counts["trades"] += 1
            else:
                apply = reference.snapshot if frame["action"] == "snapshot" else reference.delta
                apply(frame["arg"]["instId"], *([x[:2] for x in data[s]] for s in ("bids", "asks")))
    return reference


@functools.cache
def coinbase() -> Reference:
    reference = Reference("COINBASE")
    for number, frame in enumerate(reference.frames):
        assert int(frame["sequence_num"]) == number
        for event in frame["events"]:
            if frame["channel"] == "market_trades" and event["type"] == "update":
                reference.counts["trades"] += len(event["trades"])
            if frame["channel"] == "l2_data":
                sides = [
                    [(u["price_level"], u["new_quantity"]) for u in event["updates"] if u["side"] == side]
                    for side in ("bid", "offer")
                ]
                apply = reference.snapshot if event["type"] == "snapshot" else reference.delta
                apply(event["product_id"], *sides)
    return reference


# Snapshots, deltas, levels in the deltas, trades.  Of Coinbase's 4,859 levels 52 remove what the book doesn't
# hold; we publish what the exchange sent.  (Stock cryptofeed drops such removals, and as it loses the asks of
# the snapshots, it drops 100 of them: 4,759.)
CASES = {
    "binance": ("BINANCE", binance, (4, 172, 408, 2)),
    "kraken-v1": ("KRAKEN", kraken_v1, (10, 4269, 4272, 10)),
    "bitmex": ("BITMEX", bitmex, (10, 1969, 2587, 27)),
    "okx": ("OKX", okx, (3, 287, 6135, 74)),
    "coinbase": ("COINBASE", coinbase, (2, 773, 4859, 79)),
}


def plain(number: str) -> str:
    """The number's own digits without an exponent."""
    return format(Decimal(number), "f")
