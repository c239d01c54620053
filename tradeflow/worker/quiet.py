"""Logs that stay readable while Kafka is away, and cost nothing while it is there."""

from __future__ import annotations

import logging
import time

CHATTY = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)
PASSING = ("GroupCoordinatorNotAvailableError", "NotLeaderForPartitionError")
"""A new group's coordinator is being made, a new partition's leader chosen: the client asks again by itself."""
INTERVAL = 10.0
"""Seconds between two records of one kind."""


class OncePerInterval(logging.Filter):
    """Lets a kind of warning (logger, line of code) through once an interval, with the number left out."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        if any(error in record.getMessage() for error in PASSING):
            record.levelno, record.levelname = logging.INFO, "INFO"
            return True
        kind = (record.name, record.lineno)
        now = time.monotonic()
        last, hidden = self._last.get(kind, (-INTERVAL, 0))
        if now - last < INTERVAL:
            self._last[kind] = (last, hidden + 1)
            return False
        self._last[kind] = (now, 0)
        if hidden:
            record.msg = f"{record.getMessage()} (and {hidden} like it)"
            record.args = ()
        return True


def quiet_libraries() -> None:
    """Limit what the Kafka client, the frameworks and the WebSockets log, in this process."""
    for name in ("aiokafka", "faust", "mode", "websockets"):
        # Faust's `-l warn` leaves the root logger at DEBUG: several records for each frame, that nobody prints.
        logging.getLogger(name).setLevel(logging.INFO)
    for name in CHATTY:
        logger = logging.getLogger(name)
        if not any(isinstance(known, OncePerInterval) for known in logger.filters):
            logger.addFilter(OncePerInterval())
