"""Which partition a symbol lives on: JSON maps, checked as a whole before anything starts.

`symbols.json` places every symbol's market events, books, strategies and orders; `<exchange>.json` places the
raw records of that exchange.  A map is `{"BTC-USDT": 0, …}`; its partition count is its largest number + 1.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tradeflow.symbols import SymbolError, canonical_symbol

SYMBOLS_FILE = "symbols.json"
SYMBOLS_PER_FEED = 10
"""Of one connection; small, because a gap on one symbol makes some exchanges resend all of a connection."""


class PartitionMapError(ValueError):
    """A map can't be used; the message names the file and the edit that mends it."""


class PartitionMap(Mapping[str, int]):
    """One file: canonical symbol → partition."""

    def __init__(self, file: str, partitions: Mapping[str, int]) -> None:
        self.file = file
        self._partitions = dict(partitions)
        self.count = max(self._partitions.values()) + 1

    def __getitem__(self, symbol: str) -> int:
        """Raises KeyError, with the edit that places the symbol."""
        try:
            return self._partitions[symbol]
        except KeyError:
            raise KeyError(
                f'{symbol} has no partition: add "{symbol}": N, with N below {self.count}, to {self.file}'
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._partitions)

    def __len__(self) -> int:
        return len(self._partitions)


@dataclass(frozen=True)
class Feed:
    """One connection's worth of symbols; `index` is its partition of `feed-assignments`."""

    index: int
    exchange: str
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class PartitionMaps:
    """All maps of a deployment; every worker must have the same."""

    symbols: PartitionMap
    exchanges: Mapping[str, PartitionMap]

    def books(self, exchanges: Collection[str] = (), symbols: Collection[str] = ()) -> list[tuple[str, str]]:
        """The (exchange, symbol) pairs to serve, sorted: what is asked for and mapped; nothing given = all.

        Raises PartitionMapError for an exchange without a map, and for a symbol that none of them has."""
        chosen = sorted(exchanges) or sorted(self.exchanges)
        for exchange in chosen:
            if exchange not in self.exchanges:
                raise PartitionMapError(
                    f"EXCHANGES: {exchange!r} has no map, only {', '.join(sorted(self.exchanges))}. "
                    f"Add partition_maps/{exchange}.json or leave it out."
                )
        for symbol in symbols:
            self._check_served(symbol, chosen)
        return [
            (exchange, symbol)
            for exchange in chosen
            for symbol in sorted(self.exchanges[exchange])
            if not symbols or symbol in symbols
        ]

    def _check_served(self, symbol: str, exchanges: list[str]) -> None:
        if symbol not in self.symbols:
            raise PartitionMapError(
                f"SYMBOLS: {symbol} is in no partition map; known are {', '.join(sorted(self.symbols))}. "
                f'Add it to {self.symbols.file} ("{symbol}": N with N below {self.symbols.count}) '
                f"and to the maps of its exchanges, or leave it out."
            )
        if not any(symbol in self.exchanges[exchange] for exchange in exchanges):
            having = [name for name, map_ in sorted(self.exchanges.items()) if symbol in map_]
            raise PartitionMapError(
                f"SYMBOLS: none of {', '.join(exchanges)} has {symbol} in its map; "
                f"{', '.join(having) or 'no exchange'} has. Correct SYMBOLS, EXCHANGES or the maps."
            )

    def check_together(self, symbols: Collection[str]) -> None:
        """Raises PartitionMapError unless all `symbols` are on one partition, to be seen together there.

        The message is the edit that brings them together."""
        for symbol in symbols:
            if symbol not in self.symbols:
                raise PartitionMapError(
                    f"{self.symbols.file}: {symbol} is not there; add it, or correct the name"
                )
        places = {symbol: self.symbols[symbol] for symbol in sorted(set(symbols))}
        if len(set(places.values())) <= 1:
            return
        home = min(Counter(places.values()).items(), key=lambda item: (-item[1], item[0]))[0]
        now = ", ".join(f"{symbol} on {partition}" for symbol, partition in places.items())
        edits = ", ".join(f'"{symbol}": {home}' for symbol, partition in places.items() if partition != home)
        empty = set(places.values()) - {home} - {n for s, n in self.symbols.items() if s not in places}
        refill = f" (and move another symbol to {', '.join(map(str, sorted(empty)))})" if empty else ""
        raise PartitionMapError(
            f"{', '.join(places)} must share a partition to be seen together, but {now}. "
            f"Stop all workers, set {edits}{refill} in {self.symbols.file}, and start them again."
        )


def feeds(maps: PartitionMaps) -> list[Feed]:
    """Every feed, in the order of `feed-assignments`' partitions; depends on nothing but the maps."""
    found: list[Feed] = []
    for exchange, map_ in sorted(maps.exchanges.items()):
        symbols = sorted(map_)
        for start in range(0, len(symbols), SYMBOLS_PER_FEED):
            found.append(Feed(len(found), exchange, tuple(symbols[start : start + SYMBOLS_PER_FEED])))
    return found


def served_feeds(maps: PartitionMaps, books: Collection[tuple[str, str]]) -> list[Feed]:
    """The feeds that have any of `books` (exchange, symbol) to deliver, each with those symbols only."""
    found = []
    for feed in feeds(maps):
        symbols = tuple(symbol for symbol in feed.symbols if (feed.exchange, symbol) in books)
        if symbols:
            found.append(Feed(feed.index, feed.exchange, symbols))
    return found


def load_maps(directory: Path | None = None) -> PartitionMaps:
    """The maps of `directory`; without one those of ./partition_maps, else the packaged ones.

    Raises PartitionMapError at the first thing that is wrong, naming file and fix."""
    directory = directory or _default_directory()
    if not directory.is_dir():
        raise PartitionMapError(
            f"{directory} is no directory: set TRADEFLOW_PARTITION_MAPS to the one that holds {SYMBOLS_FILE}"
        )
    files = sorted(directory.glob("*.json"))
    if directory / SYMBOLS_FILE not in files:
        raise PartitionMapError(
            f'{directory / SYMBOLS_FILE} is missing: it places every symbol, {{"BTC-USDT": 0, …}}'
        )
    exchanges = {path.stem.lower(): load_map(path) for path in files if path.name != SYMBOLS_FILE}
    if not exchanges:
        raise PartitionMapError(
            f'{directory} holds no exchange\'s map: add one as binance.json, {{"BTC-USDT": 0, …}}'
        )
    maps = PartitionMaps(load_map(directory / SYMBOLS_FILE), exchanges)
    for map_ in exchanges.values():
        for symbol in map_:
            if symbol not in maps.symbols:
                raise PartitionMapError(
                    f"{map_.file}: {symbol} is not in {maps.symbols.file}; "
                    f'add "{symbol}": N there, with N below {maps.symbols.count}'
                )
    return maps


def load_map(path: Path) -> PartitionMap:
    """One file.  Raises PartitionMapError."""
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    except OSError as error:
        raise PartitionMapError(
            f"{path}: cannot be read ({error.strerror}); check that it is there"
        ) from None
    except ValueError as error:
        raise PartitionMapError(f"{path}: is not JSON ({error}); correct it there") from None
    if not _is_object(pairs):
        raise PartitionMapError(f'{path}: must be one object such as {{"BTC-USDT": 0, "ETH-USDT": 1}}')
    return check_map(str(path), pairs)


def check_map(file: str, pairs: Iterable[tuple[str, object]]) -> PartitionMap:
    """The map of (symbol as written, partition) pairs.  Raises PartitionMapError."""
    partitions: dict[str, int] = {}
    spelling: dict[str, str] = {}
    for name, partition in pairs:
        try:
            symbol = canonical_symbol(name)
        except SymbolError as error:
            raise PartitionMapError(f"{file}: {error}") from None
        if symbol in partitions:
            raise PartitionMapError(
                f"{file}: {symbol} is there twice, as {spelling[symbol]!r} and {name!r}; remove one of them"
            )
        if not isinstance(partition, int) or isinstance(partition, bool) or partition < 0:
            raise PartitionMapError(
                f"{file}: the partition of {name} is {json.dumps(partition)}; write an integer from 0 up"
            )
        partitions[symbol] = partition
        spelling[symbol] = name
    if not partitions:
        raise PartitionMapError(f'{file}: is empty; give it at least one symbol, {{"BTC-USDT": 0}}')
    used = set(partitions.values())
    unused = [str(number) for number in islice((n for n in range(max(used)) if n not in used), 6)]
    if unused:
        unused[5:] = ["…"] * len(unused[5:])
        raise PartitionMapError(
            f"{file}: no symbol is on partition {', '.join(unused)}; "
            f"number the partitions from 0 to {len(used) - 1} without a hole"
        )
    return PartitionMap(file, partitions)


def extend(
    map_: PartitionMap | None, symbols: Iterable[str], count: int | None = None, file: str = ""
) -> PartitionMap:
    """The map with `symbols` added, each on the emptiest partition; no symbol that it has is moved.

    Without a map a new one of `count` partitions is made.  Raises PartitionMapError if `count` differs from
    that of an existing map (its topics have that many), or if it leaves a partition without a symbol."""
    if map_ is not None and count not in (None, map_.count):
        raise PartitionMapError(
            f"{map_.file}: has {map_.count} partitions, not {count}; it is extended within those"
        )
    partitions = dict(map_) if map_ else {}
    count = map_.count if map_ else count or 1
    load = Counter(dict.fromkeys(range(count), 0))
    load.update(partitions.values())
    for name in symbols:
        try:
            symbol = canonical_symbol(name)
        except SymbolError as error:
            raise PartitionMapError(str(error)) from None
        if symbol not in partitions:
            partitions[symbol] = min(load, key=lambda number: (load[number], number))
            load[partitions[symbol]] += 1
    file = map_.file if map_ else file
    if len(partitions) < count:
        raise PartitionMapError(
            f"{file}: {len(partitions)} symbols can't fill {count} partitions; give at least {count} symbols"
        )
    return check_map(file, partitions.items())


def dump_map(map_: PartitionMap) -> str:
    """The text of its file."""
    return json.dumps(dict(map_), indent=2) + "\n"


def _is_object(pairs: object) -> bool:
    """True for what the hook makes of a JSON object, a list of pairs (of an array it makes nothing)."""
    return isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)


def _default_directory() -> Path:
    package = Path(__file__).parent
    candidates = [Path("partition_maps"), package / "partition_maps", package.parent / "partition_maps"]
    return next((path for path in candidates if path.is_dir()), candidates[0])
