"""tradeflow: live order books you can trust, in Kafka, and strategies that react to them.

`app` (the Faust app), `book_changes` and `orders` are made when first asked for: strategies and their tests import the
pure names without Faust, Kafka or settings."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tradeflow.strategies import Strategy, Trial, buy, cancel, sell, timer

__all__ = ["Strategy", "Struct", "Trial", "app", "book_changes", "buy", "cancel", "orders", "sell", "timer"]


def __getattr__(name: str) -> Any:
    if name not in ("app", "book_changes", "orders"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
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
