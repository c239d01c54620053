"""Incremental fetches (KIP-227): a request names the partitions that moved, an answer those that have something.

aiokafka names every partition in each request and gets an answer for each, both in pure Python.  A worker follows some
forty of them, and near the end of a log a fetch brings records of one or two (docs/adr/0017-incremental-fetches.md).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiokafka.protocol.fetch import FetchRequest

MAX_EPOCH = 2**31 - 1

Asked = dict[tuple[str, int], tuple[int, int]]
"""(topic, partition) → (offset, most bytes)."""


class _Session(NamedTuple):
    """What a broker remembers of the last request.  `epoch` 0: ask for everything, and close `id` if it is there."""

    id: int = 0
    epoch: int = 0
    asked: Asked = {}  # noqa: RUF012  never changed
    assignment: Any = None


class FetchSessions:
    """Turns the fetches of an aiokafka consumer into incremental ones, a session for each broker.

    A session goes on only from an answer that arrived; after a lost one, after an error, or for other assigned
    partitions everything is asked for again.  Brokers that know no sessions (before 1.1) get what they always got."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._send = consumer._client.send
        self._sessions: dict[int, _Session] = {}
        consumer._client.send = self.send

    async def send(self, node_id: int, request: Any, **kwargs: Any) -> Any:
        """In place of the client's own."""
        if not isinstance(request, FetchRequest):
            return await self._send(node_id, request, **kwargs)
        subscription = self._consumer._subscription.subscription
        assignment = subscription and subscription.assignment
        session = self._sessions.get(node_id, _Session())
        if session.assignment is not assignment:
            session = _Session(session.id)
        self._sessions[node_id] = _Session(session.id)  # until the answer is here
        asked = {
            (topic, number): (offset, size) for topic, of in request.topics for number, offset, size in of
        }
        response = await self._send(node_id, _Incremental(request, session, asked), **kwargs)
        if response.API_VERSION >= 7 and response.session_id:  # none comes with an error
            epoch = session.epoch % MAX_EPOCH + 1
            self._sessions[node_id] = _Session(response.session_id, epoch, asked, assignment)
        return response


class _Incremental(FetchRequest):  # type: ignore[misc]
    """A request with what differs from a session's last one."""

    def __init__(self, whole: FetchRequest, session: _Session, asked: Asked) -> None:
        self.__dict__.update(whole.__dict__)
        self._session = session
        moved: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, number), want in asked.items():
            if session.asked.get((topic, number)) != want:
                moved.setdefault(topic, []).append((number, *want))
        self._topics = list(moved.items())
        gone: dict[str, list[int]] = {}
        for topic, number in session.asked.keys() - asked.keys():
            gone.setdefault(topic, []).append(number)
        self._gone = list(gone.items())

    def build(self, request_struct_class: Any) -> Any:
        struct: Any = super().build(request_struct_class)
        if struct.API_VERSION >= 7:
            struct.session_id, struct.session_epoch = self._session.id, self._session.epoch
            struct.forgotten_topics_data = self._gone
        return struct
