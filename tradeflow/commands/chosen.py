"""Which books a verb is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tradeflow.commands.completion import complete_books
from tradeflow.symbols import SymbolError, canonical_symbol

books_argument = click.argument("books", nargs=-1, metavar="[BOOK]...", shell_complete=complete_books)


class Chosen:
    """A book is named by its symbol, its exchange, or exchange/symbol; no names: all.

    Raises UsageError for what is neither."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [_parsed(name) for name in names]

    def __call__(self, exchange: str, symbol: str) -> bool:
        return not self._names or any(
            wanted_exchange in ("", exchange) and wanted_symbol in ("", symbol)
            for wanted_exchange, wanted_symbol in self._names
        )


def _parsed(name: str) -> tuple[str, str]:
    """Exchange and symbol, one of them empty where it may be any."""
    exchange, slash, symbol = name.rpartition("/")
    try:
        return exchange.lower(), canonical_symbol(symbol)
    except SymbolError:
        if slash or not name.replace("-", "").isalnum():
            raise click.UsageError(
                f"{name!r} names no book: write a symbol (BTC-USDT), an exchange, or exchange/symbol"
            ) from None
    return name.lower(), ""
