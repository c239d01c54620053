"""What the Kafka client says and nobody needs to act on."""

from __future__ import annotations

import logging

import pytest

from tradeflow.worker.quiet import OncePerInterval, quiet_libraries


def said(message: str) -> tuple[bool, int]:
    record = logging.LogRecord("aiokafka.consumer.fetcher", logging.ERROR, "fetcher.py", 1, message, (), None)
    return OncePerInterval().filter(record), record.levelno


@pytest.mark.parametrize(
    "message",
    [
        "Failed fetch offsets from 1: [Error 6] NotLeaderForPartitionError: TopicPartition(topic='control')",
        "Group Coordinator Request failed: [Error 15] GroupCoordinatorNotAvailableError",
    ],
)
def test_what_passes_by_itself_is_no_error(message: str) -> None:
    assert said(message) == (True, logging.INFO)


def test_any_other_error_is_one() -> None:
    assert said("Failed fetch offsets from 1: TopicAuthorizationFailedError") == (True, logging.ERROR)


@pytest.mark.parametrize("library", ["websockets.client", "aiokafka.conn", "faust.streams"])
def test_no_library_makes_records_for_each_frame_where_faust_leaves_the_root_at_debug(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    quiet_libraries()
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]
    assert not logging.getLogger(library).isEnabledFor(logging.DEBUG)
