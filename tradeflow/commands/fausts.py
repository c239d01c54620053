"""Faust's own verbs: run by Faust's command line, with help of ours in front."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import click

from tradeflow.commands.errors import NoAnswer, told
from tradeflow.commands.verb import write_examples

LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "crit"}

HELP = {
    "worker": (
        "Run one worker, on KAFKA_BROKERS.\n\nAs many as you like share the work; each needs its own"
        " TRADEFLOW_WEB_PORT and TRADEFLOW_DATA_DIR. Ctrl-C or SIGTERM ends it in good order.",
        (
            "tradeflow worker",
            "tradeflow worker -l debug",
            "tradeflow -A plain_agent worker    # an app of your own, made of tradeflow's",
        ),
    ),
    "agents": (
        "List the app's agents.\n\nThose of channels, which no topic feeds, are listed with --local.",
        ("tradeflow agents", "tradeflow --json agents --local"),
    ),
    "tables": ("List the app's tables.", ("tradeflow tables", "tradeflow --json tables")),
    "send": (
        "Send a record to a topic or an agent.\n\nENTITY is a topic, or @ and an agent's name; VALUE is sent as it is."
        " What no agent can use becomes a dead letter.",
        ("tradeflow send my-topic '{\"hello\": 1}' --key BTC-USDT --partition 0",),
    ),
    "reset": (
        "Delete this worker's local state.\n\nThe tables' files in TRADEFLOW_DATA_DIR; stop that worker first. Its next"
        " start reads them from Kafka again.",
        ("tradeflow reset",),
    ),
    "clean-versions": ("Delete local state of the app's earlier versions.", ("tradeflow clean-versions",)),
    "livecheck": (
        "Run Faust's LiveCheck, if the app has one.\n\ntradeflow has none: this is for an app of your own.",
        ("tradeflow -A my_app livecheck",),
    ),
    "models": (
        "List the app's Faust models; tradeflow has none.\n\nIts records are msgspec's: docs/reference/topics.md.",
        ("tradeflow -A my_app models",),
    ),
    "model": (
        "Show a Faust model.\n\ntradeflow has none: this is for an app of your own.",
        ("tradeflow -A my_app model my_app.Withdrawal",),
    ),
}
"""What each does, and examples."""

WITHOUT_HELP = {
    "local": "Include agents of channels, which no topic feeds.",
    "builtins": "Include Faust's own models.",
    "web_bind": "Address that the web server listens on; tradeflow's is TRADEFLOW_WEB_HOST.",
}
"""Options that Faust says nothing of, or not enough, by name."""


class FaustVerb(click.Command):
    """One of Faust's.  `before`: the options that stand before it on the command line."""

    def __init__(self, name: str, before: Sequence[str]) -> None:
        from faust.cli.faust import cli

        self._before = list(before)
        self._arguments: list[str] = []
        known = cli.commands.get(name)  # an app of one's own may bring more of them
        says, self.examples = HELP.get(name, ((known.help or "") if known else "", ()))
        super().__init__(name, help=says, params=[_said(each) for each in known.params] if known else [])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Faust parses them; only --help of its own verbs is answered here."""
        if ctx.resilient_parsing or (set(args) & {"--help"} and self.name in HELP):
            return super().parse_args(ctx, args)
        self._arguments = args
        return []

    def invoke(self, ctx: click.Context) -> Any:
        from faust.cli.faust import cli

        before, arguments, name = self._before, self._arguments, str(self.name)
        if not _is_given(before, "-A", "--app"):
            before = ["-A", "tradeflow", *before]
        if name == "worker" and not _is_given([*before, *arguments], "-l", "--loglevel"):
            arguments = [*arguments, *_log_level()]
        if name == "send":
            with told(ctx):
                _check_kafka()
        with told(ctx):
            return cli.main([*before, name, *arguments], prog_name="tradeflow")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


def _is_given(arguments: Sequence[str], short: str, long: str) -> bool:
    return any(argument.startswith((short, long)) for argument in arguments)


def _said(parameter: click.Parameter) -> click.Parameter:
    """With its help, where Faust has none."""
    says = WITHOUT_HELP.get(str(parameter.name))
    if not says or not isinstance(parameter, click.Option):
        return parameter
    parameter = copy.copy(parameter)
    parameter.help = says
    return parameter


def _log_level() -> list[str]:
    from tradeflow.settings import SettingsError, load_settings

    with contextlib.suppress(SettingsError):  # bad ones are reported where the app is put together
        config = load_settings()
        return ["-l", LEVELS[config.log_level]]
    return []


def _check_kafka() -> None:
    """Faust would show a traceback, and try for long.  Raises NoAnswer."""
    from tradeflow.cluster.security import client_options, why_not
    from tradeflow.settings import load_settings

    options = client_options(load_settings())
    if reason := asyncio.run(why_not(options)):
        raise NoAnswer(
            f"no answer of Kafka at {options['bootstrap_servers']} ({reason!r}): start it, or correct KAFKA_BROKERS"
        )
