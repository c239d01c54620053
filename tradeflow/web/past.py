"""What the views tell of earlier moments; read from Kafka, so that any worker can."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka.errors import KafkaError
from msgspec import UNSET, UnsetType

from tradeflow.cluster.reader import KafkaReader, NoTopicError
from tradeflow.history.explain import Deployment, Explanation, UnknownOrder, explain
from tradeflow.history.past import Moment, NotRetained, Past
from tradeflow.history.rebuild import AtRecord, AtTime, NeverThere, Place, Target
from tradeflow.messages import Order
from tradeflow.times import TimeError, parse_time
from tradeflow.web.problems import (
    BAD_PARAMETER,
    NO_KAFKA,
    NO_SUCH_MOMENT,
    NOT_RETAINED,
    TOO_SLOW,
    UNKNOWN_ORDER,
    Problem,
)
from tradeflow.wiring import books, config, kafka_client, maps, strategies

AT_ONCE = 2
"""Questions that are answered at the same time; each may have to read a minute of the log."""
PATIENCE = 30.0
"""Seconds for one answer."""

deployment = Deployment(
    maps,
    books,
    strategies,
    {"silence_ns": int(config.silence_timeout * 1e9), "max_jump": config.max_jump_pct / 100},
)

_turns = asyncio.Semaphore(AT_ONCE)


def target(
    at: str | UnsetType, epoch: int | UnsetType, sequence: int | UnsetType, exchange: str, symbol: str
) -> Target | None:
    """The moment that a request asks for; None: now."""
    if at is not UNSET:
        try:
            return AtTime(parse_time(at))
        except TimeError as error:
            raise Problem(BAD_PARAMETER, f"at: {error}", parameter="at", value=at) from None
    if epoch is not UNSET and sequence is not UNSET:
        return AtRecord(exchange, symbol, epoch, sequence)
    if epoch is UNSET and sequence is UNSET:
        return None
    missing = "epoch" if epoch is UNSET else "sequence"
    detail = f"{missing} is missing: epoch and sequence are needed together, as a book tells them"
    raise Problem(BAD_PARAMETER, detail, parameter=missing)


async def moment(partition: int, place: Place, wanted: Target) -> Moment:
    """A book as it was.  Problem 404 for a moment that never was or is no longer (or not yet) in Kafka."""
    async with _reader() as reader:
        past = Past(reader, deployment.market_options)
        return await past.moment(partition, [place], wanted, isinstance(wanted, AtRecord))


async def explained(order_id: str, known: Order | None, depth: int) -> Explanation:
    async with _reader() as reader:
        return await explain(reader, deployment, order_id, known, depth)


@contextlib.asynccontextmanager
async def _reader() -> AsyncIterator[KafkaReader]:
    """One's turn at Kafka, and what it may come to as a Problem."""
    try:
        async with asyncio.timeout(PATIENCE), _turns, KafkaReader(kafka_client) as reader:
            yield reader
    except NeverThere as error:
        raise Problem(NO_SUCH_MOMENT, str(error)) from None
    except (NotRetained, NoTopicError) as error:
        raise Problem(NOT_RETAINED, str(error)) from None
    except UnknownOrder as error:
        raise Problem(UNKNOWN_ORDER, str(error)) from None
    except TimeoutError:
        detail = f"no answer within {PATIENCE:g} s; others may be asking too: ask again later"
        raise Problem(TOO_SLOW, detail) from None
    except KafkaError as error:
        raise Problem(NO_KAFKA, f"Kafka doesn't answer: {error!r}; ask again in a second") from None
