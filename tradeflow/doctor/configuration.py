"""Settings, partition maps and the files of strategies and trading: readable, valid, and in agreement."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tradeflow.doctor.finding import Finding, fault, note, ok
from tradeflow.feeds.registry import check_exchanges
from tradeflow.partitions import PartitionMapError, PartitionMaps, load_maps, served_feeds
from tradeflow.settings import (
    Settings,
    SettingsError,
    known_variables,
    load_settings,
    unknown_variables,
)
from tradeflow.strategies import Strategy, StrategyError, load_strategies
from tradeflow.web.access import is_loopback
from tradeflow.worker.trading_setup import TradingSetup, read_trading

AS_IT_SAYS = "as it says"
FILES = ("strategies", "risk", "fees", "balances")


class Plan(NamedTuple):
    """What settings, maps and files amount to."""

    maps: PartitionMaps
    books: list[tuple[str, str]]
    strategies: list[Strategy]
    trading: TradingSetup


def read_settings() -> tuple[Settings | None, list[Finding]]:
    """None where they can't be used: a finding each."""
    found = [_unknown(name, place) for name, place in unknown_variables().items()]
    try:
        config = load_settings()
    except SettingsError as error:
        return None, [*found, *(_refused("settings", line) for line in str(error).splitlines())]
    contradictions = list(_contradictions(config))
    return config, [*found, *contradictions] or [ok("settings", f"{len(Settings.model_fields)} are valid")]


def read_files(config: Settings) -> tuple[Plan | None, list[Finding]]:
    """None where a worker could not start with them."""
    try:
        maps = load_maps(config.partition_maps)
        books = maps.books(config.exchanges, config.symbols)
        if config.role != "strategies":
            check_exchanges(feed.exchange for feed in served_feeds(maps, books))
    except (PartitionMapError, SettingsError) as error:
        return None, [_refused("partition maps", str(error))]
    found = [ok("partition maps", f"{len(books)} books on {maps.symbols.count} partitions")]
    try:
        strategies = load_strategies(config.strategies, maps, config.strategies_file)
        found.append(ok("strategies", ", ".join(strategy.name for strategy in strategies) or "none"))
    except StrategyError as error:
        return None, [*found, _refused("strategies", str(error))]
    try:
        trading = TradingSetup(read_trading(config), maps.symbols, books, strategies)
    except SettingsError as error:
        return None, [*found, _refused("limits, fees, balances", str(error))]
    given = [path.name for name in FILES if (path := _file(config, name)).exists()]
    found.append(ok("limits, fees, balances", f"files: {', '.join(given) or 'none, the defaults hold'}"))
    return Plan(maps, books, strategies, trading), found


def _file(config: Settings, name: str) -> Path:
    given: Path | None = getattr(config, f"{name}_file")
    return given or Path(f"{name}.toml")


def _refused(what: str, said: str) -> Finding:
    return fault(what, said, "valid", AS_IT_SAYS)


def _unknown(name: str, place: str) -> Finding:
    near = difflib.get_close_matches(name, known_variables(), 1)
    meant = f"did you mean {near[0]}?" if near else "remove it, or see docs/reference/settings.md"
    return fault("settings", f"{name} (in {place}) is no setting: nothing reads it", "a known name", meant)


def _contradictions(config: Settings) -> Iterator[Finding]:
    """Each of them is valid by itself."""
    if config.commit_interval >= config.session_timeout:
        yield _contradiction(
            f"TRADEFLOW_COMMIT_INTERVAL={config.commit_interval:g},"
            f" TRADEFLOW_SESSION_TIMEOUT={config.session_timeout:g}",
            "the interval shorter than the timeout",
            "a worker would lose its partitions before its checkpoint: shorten the interval",
        )
    if bool(config.binance_api_key) != bool(config.binance_secret_key):
        given, other = "BINANCE_API_KEY", "BINANCE_SECRET_KEY"
        if not config.binance_api_key:
            given, other = other, given
        yield _contradiction(f"{given} without {other}", "both or none", f"set {other}, or remove {given}")
    if config.binance_testnet:
        for kind in ("rest", "ws"):
            if config.endpoint("binance", kind):
                name = f"TRADEFLOW_BINANCE_{kind.upper()}_URL"
                yield _contradiction(
                    f"BINANCE_TESTNET=true and {name}", "one of them", f"{name} wins: remove one"
                )
    if config.kraken_depth < config.order_book_depth and "kraken" in config.exchanges:
        yield _contradiction(
            f"ORDER_BOOK_DEPTH={config.order_book_depth}, TRADEFLOW_KRAKEN_DEPTH={config.kraken_depth}",
            "no more levels than there are",
            "raise TRADEFLOW_KRAKEN_DEPTH",
        )
    there = config.web_advertised_host
    if there and is_loopback(config.web_host) and not is_loopback(there):
        yield _contradiction(
            f"TRADEFLOW_WEB_HOST={config.web_host}, TRADEFLOW_WEB_ADVERTISED_HOST={there}",
            "the one listens where the other leads",
            "others can't reach a loopback address: set TRADEFLOW_WEB_HOST to an address of the network",
        )
    if not (config.token or is_loopback(config.web_host)):
        yield note(
            "settings",
            f"TRADEFLOW_WEB_HOST={config.web_host} without TRADEFLOW_TOKEN",
            "",
            "whoever reaches it reads everything, and nobody may change anything; docs/security.md",
        )


def _contradiction(value: str, limit: str, fix: str) -> Finding:
    return fault("settings that contradict each other", value, limit, fix)
