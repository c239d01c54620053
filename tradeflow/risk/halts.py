"""`Halts`: what operators have halted, or set to reduce-only: everything, a strategy, a symbol, or one on the other."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from tradeflow.messages import Steer


class Halt(NamedTuple):
    action: Literal["halt", "reduce-only"]
    by: str
    reason: str
    time: int
    """When it was said: event time."""

    @property
    def origin(self) -> str:
        """Who, and why, if that was said."""
        return f"{self.by}: {self.reason}" if self.reason else self.by


class Halts:
    """One word a scope (strategy, symbol), empty = all; of those that reach an order, `halt` outweighs `reduce-only`.

    `resume` lifts the word on exactly the scope that it names: what was halted by itself stays so when
    everything is resumed."""

    def __init__(self) -> None:
        self.scopes: dict[tuple[str, str], Halt] = {}

    def steer(self, steer: Steer) -> None:
        """An operator's word, once: repetitions and what is older are the caller's to drop (by `offset`)."""
        scope = steer.strategy, steer.symbol
        if steer.action == "resume":
            self.scopes.pop(scope, None)
        elif steer.action != "parameters":
            self.scopes[scope] = Halt(steer.action, steer.by, steer.reason, steer.receipt_time)

    def on(self, strategy: str, symbol: str) -> tuple[str, Halt] | None:
        """(scope in words, word) that holds for a strategy's orders on a symbol: the strongest, then the widest."""
        reducing = None
        if self.scopes:
            for scope in (("", ""), (strategy, ""), ("", symbol), (strategy, symbol)):
                halt = self.scopes.get(scope)
                if halt is not None and halt.action == "halt":
                    return described(*scope), halt
                if halt is not None and reducing is None:
                    reducing = described(*scope), halt
        return reducing

    def encode(self) -> list[tuple[str, str, Halt]]:
        """JSON-able; decode() makes the same halts of it."""
        return [(*scope, halt) for scope, halt in sorted(self.scopes.items())]

    @classmethod
    def decode(cls, rows: object) -> Halts:
        """Raises msgspec.ValidationError for what encode() doesn't write."""
        self = cls()
        for strategy, symbol, halt in msgspec.convert(rows, list[tuple[str, str, Halt]]):
            self.scopes[strategy, symbol] = halt
        return self


def described(strategy: str, symbol: str) -> str:
    """A scope in words."""
    if strategy and symbol:
        return f"{strategy} on {symbol}"
    return strategy or symbol or "everything"
