"""What operators may say of orders: halt, reduce-only, resume, other parameters; and how it gets into `control`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec
from aiokafka import AIOKafkaProducer

from tradeflow import topics
from tradeflow.cluster.started import started
from tradeflow.messages import Steer
from tradeflow.messages.orders import AGENT_NAME
from tradeflow.strategies import Strategy, StrategyError
from tradeflow.strategies.parameters import from_text, with_parameters
from tradeflow.symbols import SymbolError, canonical_symbol

Action = Literal["halt", "reduce-only", "resume", "parameters"]
ACTIONS: tuple[Action, ...] = get_args(Action)


class WordError(ValueError):
    """It can't be meant like this; the message says what is there."""


class Word(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /control/…`."""

    strategy: str = ""
    """Empty: all."""
    agent: str = ""
    """Instead of a strategy: the name that a plain agent gives itself, which can't be looked up anywhere."""
    symbol: str = ""
    """Empty: all."""
    reason: str = ""
    parameters: dict[str, str] = {}
    """Of `parameters`: name → value as in strategies.toml."""


def steer_for(
    action: str,
    word: Word,
    by: str,
    strategies: Iterable[Strategy],
    books: Collection[tuple[str, str]],
) -> Steer:
    """The record for `control`.  Raises WordError for a strategy or symbol that isn't there (a halt of nothing would
    pass for one), and for parameters that its strategies would refuse."""
    if action not in ACTIONS:
        raise WordError(f"{action!r} is none of {', '.join(ACTIONS)}")
    named = [strategy for strategy in strategies if word.strategy in ("", strategy.name)]
    if word.agent and (word.strategy or action == "parameters" or not AGENT_NAME.fullmatch(word.agent)):
        raise WordError(
            f"agent {word.agent!r}: name a plain agent (letters, digits, dots, - or _), no strategy beside it, and no "
            "parameters, for it has none"
        )
    if word.strategy and not named:
        known = ", ".join(sorted({strategy.name for strategy in strategies})) or "none at all"
        raise WordError(f"STRATEGIES has no {word.strategy!r}, but {known}")
    symbol = _symbol(word.symbol, books) if word.symbol else ""
    if (action == "parameters") != bool(word.parameters):
        raise WordError("parameters are for the action `parameters`, which needs at least one")
    if action == "parameters":
        if not word.strategy or symbol:
            raise WordError("parameters are a strategy's, on all its symbols: name it, and no symbol")
        try:
            for strategy in named:
                with_parameters(strategy, from_text(strategy, word.parameters))
        except StrategyError as error:
            raise WordError(str(error)) from None
    return Steer(
        action=action,
        strategy=word.strategy or word.agent,
        symbol=symbol,
        parameters=word.parameters,
        by=by,
        reason=word.reason,
        receipt_time=time.time_ns(),
    )


async def say(connection: Mapping[str, Any], steer: Steer) -> int:
    """Put it into `control`; its offset there.  `connection`: aiokafka's arguments for any client."""
    async with started(AIOKafkaProducer(**connection, acks="all")) as producer:
        sent = await producer.send_and_wait(
            topics.CONTROL, msgspec.json.encode(steer), key=b"steer", partition=0
        )
        return int(sent.offset)


def _symbol(text: str, books: Collection[tuple[str, str]]) -> str:
    try:
        symbol = canonical_symbol(text)
    except SymbolError as error:
        raise WordError(str(error)) from None
    known = sorted({symbol for _, symbol in books})
    if symbol not in known:
        raise WordError(f"{symbol} is not served, but {', '.join(known)}")
    return symbol
