"""What workers must have in common, told in topic `control`: who differs is refused at start, or stops.

The maps place every symbol for everybody, and all read each other's records; within a group also what is served,
which strategies run and which topics are read, for any worker may get any partition, and Kafka shares partitions out
by who reads them.  Two sides of one disagreement would mix their records and nobody would notice.
While no worker runs, anything may change.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tradeflow import topics
from tradeflow.cluster.started import started
from tradeflow.messages import SCHEMA_VERSION, Steer, Terms
from tradeflow.partitions import PartitionMaps
from tradeflow.strategies import Strategy

MAPS, RECORDS = "maps", "records"
"""Scopes that concern every worker; a group's is its id."""


class DisagreementError(RuntimeError):
    """Another worker runs with other terms; the message names what differs."""


def map_terms(maps: PartitionMaps) -> dict[str, str]:
    """Each symbol's partition in each map."""
    named = {"symbols": maps.symbols, **maps.exchanges}
    return {f"{name}.json {symbol}": str(map_[symbol]) for name, map_ in named.items() for symbol in map_}


def record_terms() -> dict[str, str]:
    """What every worker can read."""
    return {"schema version": str(SCHEMA_VERSION)}


def group_terms(
    books: Iterable[tuple[str, str]], strategies: Iterable[Strategy], topics: Iterable[str] = ()
) -> dict[str, str]:
    """What every worker of a group serves, runs and reads."""
    served = {f"book {exchange}/{symbol}": "served" for exchange, symbol in books}
    runs = {
        f"strategy {one.name} with parameters {one.params_hash}": "runs in shadow" if one.shadow else "runs"
        for one in strategies
    }
    return served | runs | {f"topic {name}": "read" for name in topics}


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """In words, the first three, of as many kinds as there are; empty if there is none."""
    kinds: Counter[str] = Counter()
    ranks: dict[str, int] = {}
    for name in sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)):
        kind = name.partition(" ")[0]
        ranks[name] = kinds[kind]
        kinds[kind] += 1
    names = sorted(ranks, key=lambda name: (ranks[name], name))
    told = [f"{name}: {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there" for name in names[:3]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(told) + more


class Agreement:
    """This worker's terms by scope, and whether the others' are the same.

    `connection`: aiokafka's arguments for any client.  `patience`: seconds that a worker which has just died may
    still count as a member of its group.  `on_steer(offset, steer)`: for each of the operators' words that stand
    between the terms; a worker knows them all before it takes part."""

    def __init__(
        self,
        worker: str,
        connection: Mapping[str, Any],
        patience: float,
        on_steer: Callable[[int, Steer], None] = lambda offset, steer: None,
    ) -> None:
        self._worker = worker
        self._terms: Mapping[str, Mapping[str, str]] = {}
        self._connection = connection
        self._patience = patience
        self._on_steer = on_steer
        self._offsets: dict[str, int] = {}

    async def reach(self, terms: Mapping[str, Mapping[str, str]]) -> None:
        """Terms by scope.  To be called before joining a group.  Raises DisagreementError, KafkaError."""
        self._terms = terms
        deadline = time.monotonic() + self._patience
        while conflict := self._conflict(said := await self._read()):
            if not (group := await self._active_group(said)):
                break
            if time.monotonic() > deadline:
                raise DisagreementError(self._words(*conflict, f"group {group} runs with the latter"))
            await asyncio.sleep(0.5)
        await self._say()

    def heard(self, offset: int, terms: Terms) -> str:
        """A record that was read while this worker runs.  What to stop for, if it came after ours and differs."""
        ours, since = self._terms.get(terms.scope), self._offsets.get(terms.scope)
        if ours is None or since is None or offset <= since or terms.worker == self._worker:
            return ""
        differs = difference(ours, terms.terms)
        return (
            self._words(terms.scope, differs, f"worker {terms.worker} started with the latter")
            if differs
            else ""
        )

    def _conflict(self, said: Mapping[str, Terms]) -> tuple[str, str] | None:
        for scope, ours in self._terms.items():
            if scope in said and (differs := difference(ours, said[scope].terms)):
                return scope, differs
        return None

    def _words(self, scope: str, differs: str, who: str) -> str:
        what = {MAPS: "the partition maps differ", RECORDS: "the versions of records differ"}
        return (
            f"{what.get(scope, f'workers of group {scope} differ')}: {differs} ({who}). Start all workers with the same"
            " version, maps, EXCHANGES, SYMBOLS, STRATEGIES and agents; to change them stop every worker first."
        )

    async def _read(self) -> dict[str, Terms]:
        """The last terms of each scope."""
        said: dict[str, Terms] = {}
        partition = TopicPartition(topics.CONTROL, 0)
        async with started(AIOKafkaConsumer(**self._connection, enable_auto_commit=False)) as consumer:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        word = decode_control(record.value)
                        if isinstance(word, Terms):
                            said[word.scope] = word
                        elif word is not None:
                            self._on_steer(record.offset, word)
        return said

    async def _active_group(self, said: Mapping[str, Terms]) -> str:
        """A group that has members, of all that have ever said terms."""
        groups: Sequence[str] = sorted({*said, *self._terms} - {MAPS, RECORDS})
        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            for response in await admin.describe_consumer_groups(groups):
                for _, group, _, _, _, members, *_ in response.groups:
                    if members:
                        return str(group)
        finally:
            await admin.close()
        return ""

    async def _say(self) -> None:
        async with started(AIOKafkaProducer(**self._connection, acks="all")) as producer:
            for scope, terms in self._terms.items():
                record = Terms(scope=scope, terms=dict(terms), worker=self._worker, time=time.time_ns())
                sent = await producer.send_and_wait(
                    topics.CONTROL, msgspec.json.encode(record), key=scope.encode(), partition=0
                )
                self._offsets[scope] = sent.offset


def decode_control(value: bytes) -> Terms | Steer | None:
    """None for what else is in the topic."""
    try:
        return msgspec.json.decode(value, type=Terms | Steer)
    except msgspec.MsgspecError:
        return None
