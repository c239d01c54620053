"""The console script `tradeflow`: `faust -A tradeflow` with verbs of our own beside Faust's."""

from __future__ import annotations

import difflib
import os
from typing import Any

import click
from click.shell_completion import CompletionItem

from tradeflow.commands.errors import DEBUG
from tradeflow.commands.table import ENTRIES, GROUPS, OWN_VERBS
from tradeflow.commands.verb import JSON, write_examples

HELP = """\
Live order books you can trust, in Kafka, and strategies that react to them.

`tradeflow VERB --help` has a verb's options and examples. Settings come from the environment or from .env:
`tradeflow show-config` shows them."""

EXAMPLES = (
    "tradeflow demo                    # everything on this machine, simulated",
    "tradeflow watch BTC-USDT          # the top of its books, as it changes",
    "tradeflow doctor                  # what is wrong here?",
)

FAUSTS = "Of Faust's verbs: "
OPTIONS = (
    click.Option(["-A", "--app"], help=FAUSTS + "the app.  [default: tradeflow]"),
    click.Option(["-q", "--quiet/--no-quiet"], default=None, help=FAUSTS + "say nothing."),
    click.Option(["-D", "--datadir"], help=FAUSTS + "local state, instead of TRADEFLOW_DATA_DIR."),
    click.Option(["-L", "--loop"], help=FAUSTS + "the event loop: aio, eventlet or uvloop."),
    click.Option(["-f", "--logfile"], help=FAUSTS + "the log, instead of standard error."),
    click.Option(["-l", "--loglevel"], help=FAUSTS + "crit, error, warn, info or debug."),
    click.Option(["--blocking-timeout"], help=FAUSTS + "with --debug: seconds of the blocking detector."),
    click.Option(["--console-port"], help=FAUSTS + "with --debug: port of its console."),
    click.Option(["-W", "--workdir"], help="Change to this directory first."),
    click.Option(["--debug/--no-debug"], default=None, help="Show tracebacks of errors."),
    click.Option(["--json"], is_flag=True, help="JSON, of every verb that prints data."),
)
"""Those before the verb: Faust's, without its import."""
OF_ALL_VERBS = ("workdir", "debug", "json")
BEFORE = "tradeflow.before"
"""Key of the context's `meta`: what stands before the verb."""


class Root(click.Group):
    """All verbs, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OWN_VERBS:
            return ENTRIES[cmd_name].load()
        if cmd_name in ENTRIES or ctx.params.get("app"):
            from tradeflow.commands.fausts import FaustVerb

            return FaustVerb(cmd_name, ctx.meta.get(BEFORE, ()))
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[BEFORE] = list(args)
        rest = super().parse_args(ctx, args)
        ctx.meta[DEBUG], ctx.meta[JSON] = bool(ctx.params["debug"]), ctx.params["json"]
        return rest

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError for a verb that isn't there, and for options before it that it doesn't have."""
        verb, given = args[0], ctx.meta[BEFORE]
        ctx.meta[BEFORE] = given[: len(given) - len(args)]
        if verb in OWN_VERBS and not ctx.resilient_parsing:
            _check_options(ctx, verb)
            _change_directory(ctx.params["workdir"])
        if self.get_command(ctx, verb) is None and not ctx.resilient_parsing:
            near = difflib.get_close_matches(verb, ENTRIES)
            more = f"did you mean {' or '.join(near)}?" if near else "`tradeflow --help` lists them all"
            raise click.UsageError(f"there is no verb {verb!r}: {more}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Of verbs without importing them; options as any command."""
        verbs = [
            CompletionItem(name, help=entry.says)
            for name, entry in ENTRIES.items()
            if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, ENTRIES))
        for title, entries in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", entry.says) for name, entry in entries.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, EXAMPLES)


def _check_options(ctx: click.Context, verb: str) -> None:
    """Raises UsageError for an option before one of our own verbs that only Faust's know."""
    for parameter in ctx.command.params:
        name = str(parameter.name)
        if (
            isinstance(parameter, click.Option)
            and name not in OF_ALL_VERBS
            and ctx.params.get(name) is not None
        ):
            raise click.UsageError(
                f"{parameter.opts[-1]} is for Faust's verbs, {verb} is none: leave it out", ctx
            )


def _change_directory(workdir: str | None) -> None:
    try:
        os.chdir(workdir or ".")
    except OSError as error:
        raise click.UsageError(f"--workdir {workdir}: {error.strerror}") from None


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import platform
        from importlib.metadata import version

        click.echo(
            f"tradeflow {version('tradeflow')}, Faust {version('faust-streaming')}, Python {platform.python_version()}"
        )
        ctx.exit()


VERSION = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the versions of tradeflow, Faust and Python.",
)
root = Root("tradeflow", help=HELP, params=[*OPTIONS, VERSION], subcommand_metavar="VERB [ARGS]...")


def main(arguments: list[str] | None = None) -> Any:
    """Run one verb; its exit status ends the process."""
    return root.main(arguments, prog_name="tradeflow")


if __name__ == "__main__":
    main()
