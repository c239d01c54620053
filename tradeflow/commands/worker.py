"""How verbs ask a worker: `--url`, and an answer or words that say why there is none."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
from typing import Any

import click

from tradeflow.commands.errors import NoAnswer
from tradeflow.web.client import get

url_option = click.option("--url", help="Of a worker's web views; default: TRADEFLOW_WEB_HOST and _PORT.")


PART = 10_000
"""Rows that are asked for at once."""


def worker_url(given: str | None) -> str:
    """Without a slash at its end."""
    if given:
        return given.rstrip("/")
    from tradeflow.settings import load_settings

    config = load_settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.web_host, config.web_host)  # noqa: S104
    return f"http://[{host}]:{config.web_port}" if ":" in host else f"http://{host}:{config.web_port}"


def ask_all(url: str, path: str, rows: str) -> Any:
    """A list's answer, decoded, with all its `rows`, in however many parts they come."""
    answer = ask(url, f"{path}?limit={PART}")
    while answer["next"] is not None:
        more = ask(url, f"{path}?limit={PART}&cursor={urllib.parse.quote(answer['next'])}")
        answer[rows] += more[rows]
        answer["next"] = more["next"]
    return answer


def ask(url: str, path: str, timeout: float = 10.0) -> Any:
    """A view's answer, decoded.  Raises NoAnswer; ClickException with a worker's own words for what it refuses."""
    try:
        return get(url + path, timeout)
    except urllib.error.HTTPError as error:
        said = _problem(error)
        raise (NoAnswer if error.code == 503 else click.ClickException)(f"{url} says: {said}") from None
    except (OSError, ValueError) as error:
        raise no_worker(url, error) from None


def no_worker(url: str, error: Exception) -> NoAnswer:
    return NoAnswer(f"no worker answers at {url} ({error}): start one, or name its --url")


def tell_silent(answer: dict[str, Any], what: str) -> None:
    """On standard error: which workers did not answer the one that was asked."""
    for worker in answer["silent_workers"]:
        click.echo(f"{worker} doesn't answer: its {what} are missing here", err=True)


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
