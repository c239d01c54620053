"""Every kind of error that the views tell of: its status, its title, and what it means.  Nothing else may be told."""

from __future__ import annotations

from typing import Any

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """A kind of problem."""

    status: int
    title: str
    meaning: str

    @property
    def name(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def type(self) -> str:
        """The URI reference that stands for it; it leads to what it means."""
        return f"/problems/{self.name}"


class ProblemDetails(msgspec.Struct, kw_only=True):
    """An error, as RFC 9457 has it.  Members beside these hold its values."""

    type: str
    """`/problems/…`, a view that says what it means; `about:blank`: no more than the status says."""
    title: str
    status: int
    detail: str
    """What is wrong here, and what to do."""


class Problem(Exception):
    """An error answer of a kind; `detail` says what to do, `values` are told beside it."""

    def __init__(self, kind: Kind, detail: str, **values: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.body = {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            **values,
        }


# -- what was asked
BAD_PARAMETER = Kind(400, "bad parameter", "A query parameter that isn't there, or beyond its limits.")
NOT_UNDERSTOOD = Kind(
    400, "not understood", "A body that is no JSON object of the fields that the view takes."
)
NOT_AUTHORIZED = Kind(401, "not authorized", "No token, or a wrong one.")
CHANGES_OFF = Kind(403, "changes are off", "This worker has no token, so nobody may change anything there.")
UNKNOWN_PATH = Kind(404, "unknown path", "There is no such view.")
UNKNOWN_SYMBOL = Kind(404, "unknown symbol", "Not a symbol, or none that is served; `known` lists those.")
UNKNOWN_BOOK = Kind(404, "unknown book", "That exchange has no such book here; `known` lists those.")
UNKNOWN_ORDER = Kind(404, "unknown order", "No such order where it was looked for.")
UNKNOWN_ACTION = Kind(404, "unknown action", "Operators say halt, reduce-only, resume or parameters.")
UNKNOWN_FILE = Kind(404, "unknown file", "The dashboard has no such file.")
UNKNOWN_PROBLEM = Kind(404, "unknown problem", "No problem of that name is told; `known` lists those.")
LOST_CURSOR = Kind(
    404, "lost cursor", "The row that it stands for isn't in the list (any more): begin again."
)
NO_BOOKS_HERE = Kind(404, "no books here", "This worker only runs feeds.")
NO_SUCH_MOMENT = Kind(404, "no such moment", "The book never was at that record, or isn't yet.")
NOT_RETAINED = Kind(404, "not retained", "Kafka no longer holds what that moment is made from.")
WRONG_METHOD = Kind(405, "wrong method", "A view is only read, or only posted to; `Allow` says which.")
BODY_TOO_SLOW = Kind(408, "body too slow", "The body did not arrive in time.")
BODY_TOO_LARGE = Kind(413, "body too large", "No view takes a body of that size.")
NOT_POSSIBLE = Kind(422, "not possible", "A word that would do nothing, or that a strategy would refuse.")

# -- what has happened here
FAILED = Kind(500, "failed", "A mistake in the program; the worker's log has it.")
NOT_READY = Kind(
    503, "not ready", "Tables are being loaded, or partitions shared out: ask again in a second."
)
REBALANCING = Kind(503, "rebalancing", "The workers are sharing the partitions out: ask again in a second.")
NO_OWNER = Kind(503, "no owner", "No worker owns the partition yet: ask again in a second.")
STOPPING = Kind(503, "stopping", "This worker is ending: ask another one.")
OWNER_UNREACHABLE = Kind(503, "owner unreachable", "The worker that owns the book does not answer.")
NOT_PUBLISHED = Kind(
    503, "not published yet", "Nobody has published that book yet; `/feeds` says how its feed is."
)
TOO_MANY_READERS = Kind(503, "too many readers", "As many read `/stream` as may.")
TOO_SLOW = Kind(503, "too slow", "Kafka was not read in time; others may be asking too.")
NO_KAFKA = Kind(503, "no Kafka", "Kafka doesn't answer.")

OF_BOOK = (UNKNOWN_SYMBOL, UNKNOWN_BOOK)
OF_OWNER = (NO_BOOKS_HERE, NOT_READY, REBALANCING, NO_OWNER, STOPPING, OWNER_UNREACHABLE)
OF_PAST = (NO_SUCH_MOMENT, NOT_RETAINED, TOO_SLOW, NO_KAFKA)

KINDS = {kind.name: kind for kind in list(globals().values()) if isinstance(kind, Kind)}
