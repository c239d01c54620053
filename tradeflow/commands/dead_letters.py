"""`tradeflow dead-letters`: lists what could not be used, shows its bytes, and sends it where it came from again."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from tradeflow import topics
from tradeflow.cluster.security import client_options
from tradeflow.commands.completion import complete_topics
from tradeflow.commands.verb import json_option, say_json, verb
from tradeflow.settings import load_settings
from tradeflow.worker.letters import Letter, Result, read_letters, send_again

_PLACE = re.compile(r"(?:([0-9]+)@)?([0-9]+)").fullmatch


@verb(
    "dead-letters",
    "tradeflow dead-letters --topic binance-orderbook --limit 20",
    "tradeflow dead-letters --show 0@17                  # one of them with its bytes",
    "tradeflow dead-letters --reinject 0@17 --reinject 0@18",
    "tradeflow dead-letters --all --topic binance-orderbook --yes",
)
@click.option("--topic", shell_complete=complete_topics, help="Only letters of records of this topic.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="The newest so many."
)
@json_option
@click.option(
    "--show", metavar="LETTER", help="One letter (its number in the list, e.g. 0@17) with its bytes."
)
@click.option(
    "--reinject",
    multiple=True,
    metavar="LETTER",
    help="Send its original to where it came from, again; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Reinject all letters, or all of --topic.")
@click.option("--yes", is_flag=True, help="Don't ask before --all.")
def dead_letters_command(
    topic: str | None,
    limit: int,
    as_json: bool,
    show: str | None,
    reinject: tuple[str, ...],
    everything: bool,
    yes: bool,
) -> None:
    """List what could not be used, or send it again.

    The newest records of the topic dead-letters, each with the reason and where it came from. Ends with status 1 if a
    letter that was named isn't there or can't be sent."""
    if sum((show is not None, bool(reinject), everything)) > 1:
        raise click.UsageError("--show, --reinject and --all exclude each other")
    named = [_place(text) for text in (*reinject, *([show] if show else []))]
    options = client_options(load_settings())
    letters = asyncio.run(_chosen(options, topic, named, None if everything else limit))
    missing = [place for place in named if place not in {letter.place for letter in letters}]
    if missing:
        raise click.ClickException(
            f"no letter {', '.join(missing)} in {topics.DEAD_LETTERS}: `tradeflow dead-letters` lists those there"
        )
    if show is not None:
        _show(letters[0], as_json)
    elif not reinject and not everything:
        _list(letters, as_json)
    elif letters and (yes or reinject or click.confirm(f"Send {len(letters)} records again?")):
        _report(asyncio.run(send_again(options, letters)), as_json)
    else:
        click.echo("[]" if as_json else "nothing is sent")


async def _chosen(
    options: Mapping[str, Any], topic: str | None, named: list[str], limit: int | None
) -> list[Letter]:
    found: deque[Letter] = deque(maxlen=None if named else limit)
    async for letter in read_letters(options, _say_unreadable):
        if (letter.place in named) if named else topic in (None, letter.said.topic):
            found.append(letter)
    return list(found)


def _say_unreadable(place: str) -> None:
    click.echo(f"{place} is no dead letter", err=True)


def _place(text: str) -> str:
    match = _PLACE(text)
    if not match:
        raise click.UsageError(f"{text!r} is no letter: write PARTITION@OFFSET as the list does, e.g. 0@17")
    return f"{int(match[1] or 0)}@{int(match[2])}"


def _list(letters: list[Letter], as_json: bool) -> None:
    if as_json:
        say_json([letter.summary() for letter in letters])
        return
    for letter in letters:
        said = letter.said
        key = "" if said.key is None else f" {said.key}"
        click.echo(
            f"{letter.place}  {_utc(said.time)}  {said.topic}/{said.partition}@{said.offset}{key}  "
            f"{len(letter.original):,} bytes{' (cut)' if letter.is_cut else ''}\n    {said.reason}"
        )
    click.echo(f"{len(letters)} dead letters" if letters else "no dead letters")


def _show(letter: Letter, as_json: bool) -> None:
    text = letter.original.decode(errors="backslashreplace")
    if as_json:
        say_json({**letter.summary(), "original": text, "base64": letter.said.original})
        return
    _list([letter], False)
    click.echo(text)


def _report(results: dict[str, Result], as_json: bool) -> None:
    sent = sum(result.is_sent for result in results.values())
    if as_json:
        say_json({place: result._asdict() for place, result in results.items()})
    else:
        for place, result in results.items():
            click.echo(f"{place}: {result.words}")
        click.echo(f"{sent} of {len(results)} sent again")
    if sent < len(results):
        raise SystemExit(1)


def _utc(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
