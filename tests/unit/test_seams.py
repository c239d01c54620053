"""Parts of faust-streaming and aiokafka that are overridden or used though they are not public.

The versions are pinned; an upgrade that changes one of these has to fail here, and not by losing data."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import typing

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecord
from faust.agents.manager import AgentManager
from faust.app.base import App
from faust.app.router import Router
from faust.serializers.schemas import Schema
from faust.stores import rocksdb
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from mode import Service
from mode.services import ServiceTask
from mode.threads import ServiceThread

SEAMS = [
    (driver.Consumer, "getmany", ["timeout"]),
    (driver.Consumer, "perform_seek", []),
    (driver.Consumer, "_drain_messages", ["fetcher"]),
    (driver.Consumer, "wait_first", ["coros", "timeout"]),
    (driver.Consumer, "seek_to_committed", []),
    (driver.AIOKafkaConsumerThread, "seek_wait", ["partitions"]),
    (driver.AIOKafkaConsumerThread, "earliest_offsets", ["partitions"]),
    (
        driver.AIOKafkaConsumerThread,
        "_fetch_records",
        ["consumer", "active_partitions", "timeout", "max_records"],
    ),
    (driver.AIOKafkaConsumerThread, "_create_consumer", ["loop"]),
    (driver.AIOKafkaConsumerThread, "call_thread", ["fun", "args", "kwargs"]),
    (driver.Consumer, "_new_consumer_thread", []),
    (driver.Consumer, "verify_event_path", ["now", "tp"]),
    (driver.Consumer, "ack", ["message"]),
    (driver.Consumer, "_add_gap", ["tp", "offset_from", "offset_to"]),
    (driver.Consumer, "on_partitions_assigned", ["assigned", "generation_id"]),
    (driver.Consumer, "on_partitions_revoked", ["revoked"]),
    (driver.Consumer, "_filter_tps_with_pending_acks", ["topics"]),
    (driver.Consumer, "_commit_tps", ["tps", "start_new_transaction"]),
    (driver.Consumer, "_commit_offsets", ["offsets", "start_new_transaction"]),
    (driver.Consumer, "_commit", ["offsets"]),
    (driver.Consumer, "_handle_attached", ["commit_offsets"]),
    (driver.Consumer, "_should_commit", ["tp", "offset"]),
    (driver.Consumer, "_is_changelog_tp", ["tp"]),
    (driver.Consumer, "_to_message", ["tp", "record"]),
    (driver.Consumer, "force_commit", ["topics", "start_new_transaction"]),
    (DefaultSchedulingStrategy, "iterate", ["records"]),
    (Schema, "loads_key", ["app", "message", "loads", "serializer"]),
    (Schema, "loads_value", ["app", "message", "loads", "serializer"]),
    (Collection, "apply_changelog_batch", ["batch"]),
    (TableManager, "on_start", []),
    (TableManager, "_update_channels", []),
    (AgentManager, "wait_until_agents_started", []),
    (rocksdb.Store, "_db_for_partition", ["partition"]),
    (rocksdb.Store, "set_persisted_offset", ["tp", "offset"]),
    (App, "on_first_start", []),
    (App, "_new_web", []),
    (Router, "key_store", ["table_name", "key"]),
    (Router, "table_metadata", ["table_name"]),
    (Service, "crash", ["reason"]),
    (AIOKafkaClient, "add_topic", ["topic"]),
    (AIOKafkaClient, "send", ["node_id", "request", "group"]),
    (FetchRequest, "build", ["request_struct_class"]),
    (MessageAccumulator, "add_batch", ["builder", "tp", "timeout"]),
    (MessageBatch, "wait_drain", ["timeout"]),
    (PartitionRecords, "_unpack_records", []),
    (Fetcher, "_get_actions_per_node", ["assignment"]),
    (Fetcher, "_select_read_replica", ["tp"]),
    (BatchBuilder, "append", ["timestamp", "key", "value", "headers"]),
]


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), SEAMS, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_signature(owner: type, name: str, parameters: list[str]) -> None:
    found = list(inspect.signature(getattr(owner, name)).parameters)
    assert found[:1] in (["self"], ["cls"]) or not found
    assert found[1:] == parameters


def test_versions_are_the_pinned_ones() -> None:
    assert importlib.metadata.version("faust-streaming") == "0.15.3"
    assert importlib.metadata.version("mode-streaming") == "0.7.1"
    assert importlib.metadata.version("aiokafka") == "0.14.0"


def test_every_commit_goes_through_commit_tps() -> None:
    assert "self._commit_tps(" in inspect.getsource(BaseConsumer.force_commit)
    assert "self.force_commit(" in inspect.getsource(BaseConsumer.commit)


def test_the_timer_of_commits_is_one_task_and_ours_takes_its_place() -> None:
    assert isinstance(BaseConsumer._commit_handler, ServiceTask)
    assert "await self.commit()" in inspect.getsource(BaseConsumer._commit_handler.fun)


def test_resuming_clears_the_queues() -> None:
    """Why records read before the flow resumes must be dropped and sought again (rule 6 of transport.py)."""
    from mode.utils.queues import FlowControlEvent

    assert "clear" in inspect.getsource(FlowControlEvent.resume)


def test_the_fetcher_finds_its_partition_records_by_name() -> None:
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert re.search(
        r"partition_records = PartitionRecords\(\s*tp,\s*records,\s*aborted_transactions,\s*fetch_offset,"
        r"\s*self\._key_deserializer,",
        source,
    )
    assert {"offset", "key", "value", "timestamp", "timestamp_type"} <= set(dir(DefaultRecord))


def test_a_thread_is_made_a_plain_service_again() -> None:
    """All that ServiceThread has of its own, but what is for the thread alone, is undone in LoopConsumer."""
    from tradeflow.worker.transport import LoopConsumer

    thread = {name for name in vars(ServiceThread) if inspect.isfunction(vars(ServiceThread)[name])}
    ours = {name for name in thread & set(dir(Service)) if not name.startswith("__")}
    ours -= {"_new_shutdown_event", "on_crash"}
    assert ours == {name for name in ours if getattr(LoopConsumer, name) is getattr(Service, name)}


def test_an_ack_wakes_who_waits_for_it() -> None:
    """Faust's own iterator acknowledges without Consumer.ack: this future is the one sign of it."""
    assert "_waiting_for_ack" in typing.get_type_hints(BaseConsumer)
    assert "notify(self._waiting_for_ack)" in inspect.getsource(BaseConsumer.ack)


def test_composite_has_what_to_message_reads() -> None:
    from tradeflow.worker.runs import _Composite

    source = inspect.getsource(driver.Consumer._to_message)
    for field in _Composite._fields:
        assert f"record.{field}" in source


def test_consumer_state_that_is_read_exists() -> None:
    hints = typing.get_type_hints(BaseConsumer)
    assert {
        "_read_offset",
        "_committed_offset",
        "_unacked_messages",
        "_n_acked",
        "flow_active",
    } <= hints.keys()
