"""Topics as Kafka has them beside what is declared: what differs, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tradeflow.cluster.cluster import TopicState
from tradeflow.topics import BROKERS_TIME, DAY, TopicSpec


class Difference(NamedTuple):
    topic: str
    what: str
    """`partitions`, `retention` or `timestamps`."""
    value: str
    limit: str
    fix: str
    grave: bool
    """A worker refuses to start, or may go wrong."""


def differences(specs: Iterable[TopicSpec], topics: Mapping[str, TopicState]) -> list[Difference]:
    """Of topics that are there; one that is missing is made by the next worker that starts."""
    return [found for spec in specs if spec.name in topics for found in _of_topic(spec, topics[spec.name])]


def _of_topic(spec: TopicSpec, state: TopicState) -> list[Difference]:
    found = []
    if state.partitions != spec.partitions and (spec.keyed or state.partitions < spec.partitions):
        fix = (
            "stop all workers; make the maps fit the topic, or move its data away, delete it and start again"
            if spec.keyed
            else "the next worker that starts adds them"
        )
        found.append(
            Difference(
                spec.name, "partitions", str(state.partitions), f"exactly {spec.partitions}", fix, spec.keyed
            )
        )
    retention = state.config.get("retention.ms", "")
    if retention != str(spec.retention_ms):
        found.append(
            Difference(
                spec.name,
                "retention",
                days(retention),
                days(str(spec.retention_ms)),
                f"{_alter(spec.name)} retention.ms={spec.retention_ms}, if nobody has set it on purpose",
                False,
            )
        )
    ((name, wanted),) = BROKERS_TIME.items()
    if (value := state.config.get(name, "")) != wanted:
        found.append(
            Difference(spec.name, "timestamps", value, wanted, f"{_alter(spec.name)} {name}={wanted}", True)
        )
    return found


def days(milliseconds: str) -> str:
    """`7 d`; hours below a day, `for ever` for -1."""
    if milliseconds == "-1":
        return "for ever"
    if not milliseconds.isdecimal():
        return milliseconds or "–"
    count = int(milliseconds)
    return f"{count / DAY:g} d" if count >= DAY else f"{count / 3_600_000:g} h"


def _alter(topic: str) -> str:
    return f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config"
