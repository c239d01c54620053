"""`Resubscriptions`: books taken anew on a running connection, so that nothing of the old stream mixes in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass

from tradeflow.feeds.rotation import REFRESH_SECONDS, Rotation

Ask = Callable[[str, str], Awaitable[None]]
"""ask(method, name): send "unsubscribe" or "subscribe" for the book of an exchange's symbol."""

PATIENCE = 5.0
"""Seconds for a book of the rotation to come; then it has a gap."""


@dataclass(slots=True)
class _State:
    since: float
    drops: bool
    """Deltas of the old subscription don't count, for its book is wrong."""
    subscribing: bool = False
    """The exchange has confirmed the end of the old subscription."""


class Resubscriptions:
    """Unsubscribe, wait for the answer, subscribe, wait for the snapshot; one at a time for each symbol.

    An exchange sends nothing of a subscription after the answer to its end.  So what is let through is the
    old stream (where it is good) to the answer, and then nothing before the new snapshot."""

    def __init__(self, ask: Ask, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._ask = ask
        self._refresh_seconds = refresh_seconds
        self._states: dict[str, _State] = {}
        self._rotation = Rotation([], refresh_seconds)

    def rotate(self, names: list[str]) -> None:
        """Take each of them anew now and then, though nothing is known to be wrong."""
        self._rotation = Rotation(names, self._refresh_seconds)

    async def start(self, name: str, *, drops: bool = True) -> None:
        """drops: its present book is wrong, nothing of it may pass."""
        state = self._states.get(name)
        if state is None:
            self._states[name] = _State(time.monotonic(), drops)
            await self._ask("unsubscribe", name)
        else:
            state.drops = state.drops or drops

    async def unsubscribed(self, name: str) -> None:
        """The exchange confirms that the old subscription has ended."""
        state = self._states.get(name)
        if state is not None and not state.subscribing:
            state.subscribing = True
            await self._ask("subscribe", name)

    async def ended(self, remaining: Container[str]) -> None:
        """The same, from an exchange that answers with what is still subscribed."""
        for name in [name for name in self._states if name not in remaining]:
            await self.unsubscribed(name)

    def passes(self, name: str, is_snapshot: bool) -> bool:
        """Whether a frame of this book counts."""
        state = self._states.get(name)
        if state is None:
            return True
        if not state.subscribing:
            return not state.drops
        if is_snapshot:
            del self._states[name]
        return is_snapshot

    async def turn(self) -> list[str]:
        """After each frame: begin what is due; names whose snapshot didn't come, each told once."""
        if (name := self._rotation.due()) is not None:
            await self.start(name, drops=False)
        if not self._states:
            return []
        before = time.monotonic() - PATIENCE
        late = [name for name, state in self._states.items() if state.since < before and not state.drops]
        for name in late:
            self._states[name].drops = True
        return late
