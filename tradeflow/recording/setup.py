"""What a Market is made of beside its log: from the settings into a recording's header, and back into a Market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tradeflow.market import Market
from tradeflow.recording.form import Header, RecordingError, StrategyHeader
from tradeflow.settings import SettingsError
from tradeflow.strategies import SHIPPED, Strategy, StrategyError, load_strategy
from tradeflow.strategies.loading import with_options
from tradeflow.worker.trading_setup import TradingFiles, TradingSetup

SETTINGS = (
    "order_book_depth",
    "silence_timeout",
    "max_jump_pct",
    "normalized_books_per_second",
    "keyframe_interval",
)


def describe(
    config: Any,
    strategies: Iterable[Strategy],
    trading: TradingFiles,
    books: Iterable[tuple[str, str]],
    symbols: Mapping[str, int],
    **fields: Any,
) -> Header:
    """The header of what is recorded under these settings; `fields`: its others."""
    return Header(
        books=list(books),
        symbols=dict(symbols),
        settings={name: float(getattr(config, name)) for name in SETTINGS},
        strategies=[_described(strategy) for strategy in strategies],
        trading=msgspec.Raw(msgspec.json.encode(trading)),
        **fields,
    )


def _described(strategy: Strategy) -> StrategyHeader:
    kind = type(strategy)
    shipped = (name for name, cls in SHIPPED.items() if cls.__qualname__ == kind.__qualname__)
    return StrategyHeader(
        load=next(shipped, f"{kind.__module__}:{kind.__qualname__}"),
        name=strategy.name,
        shadow=strategy.shadow,
        cancel_on_loss=strategy.cancel_on_loss,
        parameters={
            field.name: msgspec.Raw(msgspec.json.encode(getattr(strategy, field.name)))
            for field in msgspec.structs.fields(strategy)
        },
        params_hash=strategy.params_hash,
        code_hash=strategy.code_hash,
    )


def recorded_strategies(header: Header, warn: Any) -> list[Strategy]:
    """The strategies that ran, with the parameters that they had; `warn(text)` where the code has changed since.

    Raises RecordingError where one can't be had any more."""
    found = []
    for one in header.strategies:
        try:
            loaded = load_strategy(one.load)
            fields = {field.name: field.type for field in msgspec.structs.fields(loaded)}
            values = {
                name: msgspec.json.decode(value, type=fields[name]) for name, value in one.parameters.items()
            }
            options = {"name": one.name, "shadow": one.shadow, "cancel_on_loss": one.cancel_on_loss}
            strategy = with_options(msgspec.structs.replace(loaded, **values), options)
        except (StrategyError, msgspec.MsgspecError, KeyError, TypeError) as error:
            raise RecordingError(
                f"the recorded strategy {one.name} ({one.load}) can't be loaded with its parameters: {error}"
            ) from None
        if strategy.params_hash != one.params_hash:
            raise RecordingError(
                f"the recorded strategy {one.name} had parameters {one.params_hash}, the same values now give "
                f"{strategy.params_hash}: its class has other fields or another name"
            )
        if strategy.code_hash != one.code_hash:
            warn(f"the code of strategy {one.name} has changed since this was recorded")
        found.append(strategy)
    return found


def trading_of(header: Header, strategies: Sequence[Strategy], latency: float | None = None) -> TradingSetup:
    """Limits, fees and balances as they were, for these strategies; `latency`: seconds, of another paper exchange.

    Raises RecordingError."""
    try:
        files = msgspec.json.decode(header.trading, type=TradingFiles)
        if latency is not None:
            files = msgspec.structs.replace(files, paper_latency=latency)
        return TradingSetup(files, header.symbols, header.books, strategies)
    except (msgspec.MsgspecError, SettingsError) as error:
        raise RecordingError(f"its limits, fees or balances can't be used: {error}") from None


def new_market(
    header: Header, partition: int, strategies: Sequence[Strategy], trading: TradingSetup, **options: Any
) -> Market:
    """An empty Market of one partition as a worker has it, but without a venue, and nobody's time is measured."""
    settings = header.settings
    return Market(
        partition,
        [(exchange, symbol) for exchange, symbol in header.books if header.symbols[symbol] == partition],
        strategies,
        gate=trading.gate(),
        balances=trading.balances,
        **{
            "depth": int(settings["order_book_depth"]),
            "silence_ns": int(settings["silence_timeout"] * 1e9),
            "max_jump": settings["max_jump_pct"] / 100,
            "normalized_per_second": settings["normalized_books_per_second"],
            "keyframe_interval": int(settings["keyframe_interval"] * 1e9),
        }
        | options,
    )
