"""`tradeflow doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio

import click
import msgspec
from rich.console import Console
from rich.text import Text

from tradeflow.commands.errors import FAILED
from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.doctor.examination import examine
from tradeflow.doctor.finding import Finding

STYLES = {"ok": "green", "note": "yellow", "fault": "bold red reverse"}


@verb("doctor", "tradeflow doctor", "tradeflow doctor --all", "tradeflow doctor --json | jq '.[].fix'")
@click.option("--all", "everything", is_flag=True, help="Also tell what is as it should be.")
@json_option
def doctor_command(everything: bool, as_json: bool) -> None:
    """Look for what is wrong, and how to mend it.

    Python, Java, settings, maps and files; the data directory, the web port, Kafka with its topics and clock, and
    whether running workers have the same terms. Each finding has its value, the limit, and a fix. Ends with status 1
    if there is a fault. A topic is made for a moment, to measure the broker's clock."""
    found = asyncio.run(_examined())
    if as_json:
        say_json(msgspec.to_builtins(found))
    else:
        _show(found, everything, terminal())
    if any(finding.verdict == "fault" for finding in found):
        raise SystemExit(FAILED)


async def _examined() -> list[Finding]:
    return [finding async for finding in examine()]


def _show(found: list[Finding], everything: bool, console: Console) -> None:
    for finding in found:
        if everything or finding.verdict != "ok":
            line = Text(finding.verdict.upper(), style=STYLES[finding.verdict])
            line.append(f" {finding.what}: ", style="bold").append(finding.value, style="default")
            if finding.limit:
                line.append(f"  (must be: {finding.limit})", style="not bold default")
            console.print(line, soft_wrap=True)
            if finding.fix:
                console.print(Text(f"      {finding.fix}"), soft_wrap=True)
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in STYLES}
    said = ", ".join(
        f"{counts[name]} {name}{'s' if counts[name] != 1 and name != 'ok' else ''}" for name in STYLES
    )
    console.print(f"{len(found)} looks: {said}")
