"""Dead letters: records that could not be used, with the reason and their original bytes."""

from __future__ import annotations

import base64
import logging
import time
from typing import Any

import msgspec

from tradeflow import topics
from tradeflow.messages import DeadLetter
from tradeflow.metrics.stats import stats
from tradeflow.worker.outbox import Outbox
from tradeflow.worker.runs import Run

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

MAX_ORIGINAL = 4 * 1024 * 1024
"""Bytes of a record that are kept; base64 makes them a third more."""


def dead_letter(outbox: Outbox, run: Run, record: Any, reason: str) -> None:
    """Put one record of a run into the topic `dead-letters`."""
    log.warning("dead letter %s/%d@%d: %s", run.topic, run.partition, record.offset, reason)
    letter = DeadLetter(
        topic=run.topic,
        partition=run.partition,
        offset=record.offset,
        reason=reason,
        key=record.key.decode(errors="replace") if record.key is not None else None,
        original=base64.b64encode((record.value or b"")[:MAX_ORIGINAL]).decode(),
        time=time.time_ns(),
    )
    stats.dead_letters[run.topic] += 1
    outbox.append(topics.DEAD_LETTERS, 0, record.key, _encode(letter))
