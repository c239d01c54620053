"""What every verb of our own has: examples, errors in words, `--debug`, and `--json` where it prints data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from tradeflow.commands.errors import DEBUG, told

if TYPE_CHECKING:
    from rich.console import Console

JSON = "tradeflow.json"
"""Key of a click context's `meta`: whether `--json` stands before the verb."""


def _quiet_libraries() -> None:
    """What the client logs where nobody has set up a log would stand between the lines of the verb, which tells it."""
    import logging

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def _note_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.meta[DEBUG] = True


class Verb(click.Command):
    """`examples`: command lines, each with what it does behind a `#`."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        debug = click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_note_debug,
            help="Show tracebacks of errors.",
        )
        self.params.append(debug)

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.meta.get(JSON) and not any(parameter.name == "as_json" for parameter in self.params):
            raise click.UsageError(f"{ctx.command_path} prints no data: leave --json out", ctx)
        if not ctx.meta.get(DEBUG):
            _quiet_libraries()
        with told(ctx):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


class VerbGroup(click.Group, Verb):
    """A verb that has others below it."""

    command_class = Verb


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def verb(name: str, *examples: str, **kwargs: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Decorator: `@click.command` of a verb."""
    return click.command(name, cls=Verb, examples=examples, **kwargs)


def _or_before(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    return value or bool(context.meta.get(JSON))


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_or_before, help="As JSON, for programs."
)


def comma_list(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    """Callback of an option with several values."""
    return [part.strip() for part in value.split(",") if part.strip()]


def terminal(*, stderr: bool = False) -> Console:
    """For tables: where there is no terminal a line is as long as it has to be."""
    from rich.console import Console

    found = Console(highlight=False, stderr=stderr)
    return found if found.is_terminal else Console(highlight=False, stderr=stderr, width=1000)


def say_json(value: Any) -> None:
    """One value, indented; Decimals and paths as text."""
    click.echo(json.dumps(value, default=str, indent=2, ensure_ascii=False))
