"""What the views tell of earlier moments; read from Kafka, so that any worker can."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from aiokafka.errors import KafkaError

from tradeflow.explain import Deployment, Explanation, UnknownOrder, explain
from tradeflow.kafka_reader import KafkaReader, NoTopicError
from tradeflow.messages import Order
from tradeflow.past import Moment, NotRetained, Past
from tradeflow.rebuild import AtRecord, AtTime, NeverThere, Place, Target
from tradeflow.times import TimeError, parse_time
from tradeflow.web.answers import Problem
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


def target(query: Mapping[str, str], exchange: str, symbol: str) -> Target | None:
    """The moment that a request asks for; None: now."""
    if "at" in query:
        try:
            return AtTime(parse_time(query["at"]))
        except TimeError as error:
            raise Problem(400, "bad parameter", f"at: {error}") from None
    if "epoch" not in query and "sequence" not in query:
        return None
    numbers = [query.get(name, "") for name in ("epoch", "sequence")]
    if not all(number.isascii() and number.isdecimal() and len(number) < 16 for number in numbers):
        raise Problem(
            400, "bad parameter", "epoch and sequence: two whole numbers are needed, as a book tells them"
        )
    return AtRecord(exchange, symbol, *map(int, numbers))


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
        raise Problem(404, "no such moment", str(error)) from None
    except NotRetained as error:
        raise Problem(404, "not retained", str(error)) from None
    except (UnknownOrder, NoTopicError) as error:
        raise Problem(404, "unknown order", str(error)) from None
    except TimeoutError:
        raise Problem(503, "too slow", f"no answer within {PATIENCE:g} s; others may be asking too") from None
    except KafkaError as error:
        raise Problem(503, "no Kafka", f"Kafka doesn't answer: {error!r}; ask again in a second") from None
