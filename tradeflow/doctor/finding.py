"""`Finding`: what one look has come to."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["ok", "note", "fault"]


class Finding(msgspec.Struct, frozen=True):
    what: str
    """What was looked at."""
    verdict: Verdict
    """`note`: nothing that has to be mended, or nothing could be found out."""
    value: str
    limit: str = ""
    """What the value must be."""
    fix: str = ""
    """What to do; empty where all is well."""


def ok(what: str, value: str, limit: str = "") -> Finding:
    return Finding(what, "ok", value, limit)


def note(what: str, value: str, limit: str = "", fix: str = "") -> Finding:
    return Finding(what, "note", value, limit, fix)


def fault(what: str, value: str, limit: str, fix: str) -> Finding:
    return Finding(what, "fault", value, limit, fix)
