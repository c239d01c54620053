"""Kafka: reachable, new enough, large enough, its clock, its topics, and what workers have agreed on."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tradeflow.cluster.cluster import KafkaCluster
from tradeflow.cluster.declared import differences
from tradeflow.cluster.reader import KafkaReader
from tradeflow.cluster.security import NotLetIn, client_options, why_not
from tradeflow.cluster.started import started
from tradeflow.doctor.configuration import Plan
from tradeflow.doctor.finding import Finding, fault, note, ok
from tradeflow.recording.topics import last_terms
from tradeflow.settings import Settings, SettingsError
from tradeflow.topics import BROKERS_TIME, topic_specs
from tradeflow.worker.agreement import MAPS, RECORDS, difference, group_terms, map_terms, record_terms

MAX_OFFSET = 1.0
"""Seconds: a receipt time that is further ahead of the broker's clock isn't believed."""

PRODUCE, FETCH = 0, 1
"""Kinds of requests."""
RELEASES = {13: "3.1", 15: "3.5", 16: "3.7", 17: "3.9", 18: "4.1"}
"""Newest version of FETCH → the first release of Kafka that has it."""


async def kafka(config: Settings, plan: Plan | None) -> AsyncIterator[Finding]:
    """All that can be said of Kafka; `plan` None: nothing is compared with it."""
    try:
        client = client_options(config)
    except SettingsError as error:
        yield fault("Kafka", str(error), "usable certificates and keys", "as it says")
        return
    unreachable = await _unreachable(config, client)
    if unreachable:
        yield unreachable
        return
    try:
        async with KafkaCluster(client) as cluster:
            yield await _version(config, cluster)
            async for finding in _brokers(config, cluster):
                yield finding
            if plan:
                async for finding in _agreed(config, plan, client, cluster):
                    yield finding
        yield await _clock(config, client)
    except KafkaError as error:
        yield fault("Kafka", f"{config.kafka_brokers}: {error!r}", "it answers", "look into the broker's log")


async def _unreachable(config: Settings, client: Mapping[str, Any]) -> Finding | None:
    reason = await why_not(client)
    if reason is None:
        return None
    value = f"{config.kafka_brokers}: {reason!s}"
    if isinstance(reason, NotLetIn):
        return fault("Kafka", value, "it lets this client in", "as it says")
    fix = "start it (`tradeflow kafka` runs one here), or correct KAFKA_BROKERS"
    if "kafka_brokers" not in config.model_fields_set:
        return note(
            "Kafka", value, "it answers", f"a worker needs one: {fix}; `demo` and `run` bring their own"
        )
    return fault("Kafka", value, "it answers", fix)


async def _version(config: Settings, cluster: KafkaCluster) -> Finding:
    versions = await cluster.protocol()
    newest = versions.get(FETCH, (0, 0))[1]
    release = next((name for least, name in reversed(RELEASES.items()) if newest >= least), "older than 3.1")
    if versions.get(PRODUCE, (0, 0))[0] >= 3 and release in ("3.7", "3.9"):
        release = "4.0"  # the first one that refuses the oldest records
    told = release if release.startswith("older") else f"{release} or newer"
    value, limit = f"{config.kafka_brokers}: {told}, by its protocol", "3.1 or newer"
    if newest < min(RELEASES):
        return fault("Kafka", value, limit, "upgrade the brokers")
    return ok("Kafka", value, limit)


async def _brokers(config: Settings, cluster: KafkaCluster) -> AsyncIterator[Finding]:
    identity, brokers = await cluster.identity()
    copies, limit = config.replication_factor, f"at most {len(brokers)}, as many as there are brokers"
    if copies > len(brokers):
        fix = "start more brokers, or lower TRADEFLOW_REPLICATION_FACTOR"
        yield fault("copies of topics", str(copies), limit, fix)
    else:
        yield ok("copies of topics", str(copies), limit)
    found = await cluster.broker_config(brokers[0])
    least, most = (int(found[f"group.{end}.session.timeout.ms"]) / 1000 for end in ("min", "max"))
    value, limit = f"{config.session_timeout:g} s", f"from {least:g} to {most:g} s, as the brokers allow"
    if least <= config.session_timeout <= most:
        yield ok("session timeout", value, limit)
    else:
        yield fault("session timeout", value, limit, "set TRADEFLOW_SESSION_TIMEOUT within that")
    owner = config.data_dir / "cluster-id"
    known = _read(owner)
    if known not in ("", identity):
        yield fault(
            "data directory",
            f"{config.data_dir} holds state of Kafka cluster {known}",
            f"that of {identity}",
            "set TRADEFLOW_DATA_DIR to this cluster's, or KAFKA_BROKERS to the other one's; a worker would move what is"
            " there aside",
        )


async def _agreed(
    config: Settings, plan: Plan, client: Mapping[str, Any], cluster: KafkaCluster
) -> AsyncIterator[Finding]:
    topics, specs = await cluster.topics(), topic_specs(plan.maps)
    missing = [spec.name for spec in specs if spec.name not in topics]
    found = differences(specs, topics)
    for one in found:
        told = fault if one.grave else note
        yield told(f"topic {one.topic}", f"{one.what} {one.value}", one.limit, one.fix)
    if missing:
        yield note("topics", f"{len(missing)} of {len(specs)} are missing", "", "the first worker makes them")
    elif not found:
        yield ok("topics", f"all {len(specs)} as declared")
    if missing:
        return
    async with KafkaReader(client) as reader:
        said = await last_terms(reader)
    ours = _terms(config, plan)
    differs = [text for scope, terms in ours.items() if (text := _difference(terms, said.get(scope)))]
    what, limit = (
        "agreement of workers",
        "what running workers have: versions, maps, books, strategies, limits, fees, balances",
    )
    if not differs:
        yield ok(what, "as the last workers had it" if said else "no worker has run yet", limit)
        return
    groups = sorted({*said, *ours} - {MAPS, RECORDS})
    active = [group for group, members in (await cluster.members(groups)).items() if members]
    if active:
        yield fault(
            what,
            "; ".join(differs),
            limit,
            f"group {', '.join(active)} runs: start this one with the same, or stop every worker first",
        )
    else:
        yield note(what, f"changed since the last run: {'; '.join(differs)}", "", "no worker runs: it may")


def _terms(config: Settings, plan: Plan) -> dict[str, dict[str, str]]:
    """As a worker would tell them, but for the topics that agents read."""
    group = config.app_id if config.role == "all" else f"{config.app_id}-{config.role}"
    trades = config.role != "feeds"
    terms = group_terms(plan.books, plan.strategies if trades else ()) | (
        plan.trading.terms() if trades else {}
    )
    return {MAPS: map_terms(plan.maps), RECORDS: record_terms(), group: terms}


def _difference(ours: Mapping[str, str], theirs: Mapping[str, str] | None) -> str:
    if theirs is None:
        return ""
    return difference(ours, {name: value for name, value in theirs.items() if not name.startswith("topic ")})


async def _clock(config: Settings, client: Mapping[str, Any]) -> Finding:
    """By a record of a topic of its own, which is deleted again: Kafka tells its time in no other way."""
    what, limit = "clock, beside the broker's", f"{MAX_OFFSET:g} s at most"
    topic = f"{config.app_id}-doctor-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        made = await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=BROKERS_TIME)])
        if any(code for _, code, *_ in made.topic_errors):
            return note(what, "unknown: this client may not make a topic to measure it by", limit)
        try:
            ahead, within = await _measure(client, topic)
        finally:
            await admin.delete_topics([topic])
    finally:
        await admin.close()
    value = f"{abs(ahead):.3f} s {'ahead' if ahead > 0 else 'behind'} (± {within:.3f} s)"
    if abs(ahead) - within > MAX_OFFSET:
        return fault(what, value, limit, "set this machine's clock, or the broker's, by NTP (chrony)")
    return ok(what, value, limit)


async def _measure(client: Mapping[str, Any], topic: str) -> tuple[float, float]:
    """Seconds by which this clock is ahead, and the error of that: the quickest of some tries."""
    tries = []
    async with started(AIOKafkaProducer(**client, acks="all")) as producer:
        for _ in range(4):
            began = time.time()
            sent = await producer.send_and_wait(topic, b"", partition=0)
            ended = time.time()
            tries.append(((ended - began) / 2, (began + ended) / 2 - sent.timestamp / 1000))
    within, ahead = min(tries)
    return ahead, within + 0.001  # Kafka's timestamps are in milliseconds


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
