"""What a worker answers over HTTP, read from another process."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

# Workers are asked directly, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, timeout: float = 5.0) -> Any:
    """GET JSON.  Raises OSError (URLError, HTTPError) when there is no good answer."""
    with _opener.open(url, timeout=timeout) as response:
        return json.load(response)


def events(url: str, patience: float) -> Iterator[tuple[str, Any]]:
    """Server-sent events as (name, decoded data), until the server ends them.

    Raises OSError where there are none, TimeoutError among them when nothing comes for `patience` seconds."""
    with _opener.open(url, timeout=patience) as response:
        name = ""
        for line in response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
