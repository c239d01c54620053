"""What is shown of a text that may hold credentials."""

from __future__ import annotations

import re


def masked(text: str) -> str:
    """The text with the user and password of every URL in it hidden: `redis://***@host:6379/0`."""
    return re.sub(r"://[^\s/?#]*@", "://***@", text)
