"""tradeflow: live order books you can trust, in Kafka, and strategies that react to them.

Every name is imported when it is first asked for: strategies and their tests come without Faust, Kafka or settings,
and the command line without either.  `app` is the Faust app; `book_changes` and `orders` are made with it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import Struct

    from tradeflow.strategies import Strategy, Trial, buy, cancel, sell, timer

__all__ = ["Strategy", "Struct", "Trial", "app", "book_changes", "buy", "cancel", "orders", "sell", "timer"]


def __getattr__(name: str) -> Any:
    if name in ("app", "book_changes", "orders"):
        return _of_the_app(name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module("msgspec" if name == "Struct" else "tradeflow.strategies")
    found = getattr(home, name)
    globals()[name] = found
    return found


def _of_the_app(name: str) -> Any:
    import click

    from tradeflow.partitions import PartitionMapError
    from tradeflow.settings import SettingsError
    from tradeflow.strategies import StrategyError

    try:
        from tradeflow import service
    except (SettingsError, PartitionMapError, StrategyError) as error:
        raise click.UsageError(str(error)) from None
    except AttributeError as error:  # would show as "tradeflow has no attribute 'app'"
        raise ImportError(f"the app could not be put together: {error}") from error
    return getattr(service, name)
