"""docs/reference/cli.md, from the verbs and their click commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from tradeflow.cli import root
from tradeflow.commands.errors import EXIT_CODES
from tradeflow.commands.table import GROUPS

HEAD = """\
# Command line

<!-- Written by `make docs` from tradeflow/commands/ and the packages' own commands. -->

`tradeflow` is `faust -A tradeflow` with verbs of our own beside Faust's. `tradeflow --help` lists them,
`tradeflow VERB --help` has what stands here. Which need a Kafka or a worker: [operations](../operations.md#commands).

| Status | Means |
|---|---|
"""

MIDDLE = """
An error is one message on standard error that says what to do next. Its traceback is shown with `--debug`, before or
behind the verb, or with `TRADEFLOW_TRACEBACK=true`.

`--json`, before or behind the verb, is there for every verb that prints data; Faust's own know it before the verb.

"""


def page() -> str:
    text = HEAD + "".join(f"| {code} | {says} |\n" for code, says in EXIT_CODES.items()) + MIDDLE
    text += (
        "## Before the verb\n\n"
        + "\n".join(_options(root, click.Context(root, info_name="tradeflow")))
        + "\n"
    )
    context = click.Context(root, info_name="tradeflow")
    for title, entries in GROUPS.items():
        text += f"\n## {title}\n"
        for name in entries:
            command = root.get_command(context, name)
            assert command is not None
            text += "\n" + "\n".join(_verb(command, context)) + "\n"
    return text


def _verb(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=command.name)
    yield f"### `{context.command_path}`"
    yield from ("", inspect.cleandoc(command.help or ""))
    yield from ("", "```", f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}")
    yield from ("", *getattr(command, "examples", ()), "```", "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield ""
            yield from _verb(below, context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from ("| Option | |", "|---|---|")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option) and parameter.name != "help":
            name, says = (part.replace("|", "\\|").replace("<", "&lt;") for part in record)
            yield f"| `{name}` | {says} |"
