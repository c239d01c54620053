"""The console script `tradeflow`: `faust -A tradeflow` with verbs of our own beside Faust's."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

import click

from tradeflow.settings import SettingsError, load_settings

OWN_VERBS = {
    "demo": "tradeflow.demo.command:demo_command",
    "run": "tradeflow.demo.command:run_command",
    "kafka": "tradeflow.kafka.command:kafka_command",
    "simulate": "tradeflow.simulator.cli:simulate_command",
    "record": "tradeflow.recording.command:record_command",
    "replay": "tradeflow.replay.command:replay_command",
    "backtest": "tradeflow.backtest.command:backtest_command",
    "explain": "tradeflow.explain_command:explain_command",
    "partition-map": "tradeflow.commands:partition_map_command",
    "show-config": "tradeflow.commands:show_config_command",
    "dead-letters": "tradeflow.dead_letter_command:dead_letters_command",
    "halt": "tradeflow.operator_commands:halt_command",
    "resume": "tradeflow.operator_commands:resume_command",
    "strategies": "tradeflow.operator_commands:strategies_command",
    "new-strategy": "tradeflow.new_strategy:new_strategy_command",
}
"""Verbs that need no app; most work before there is a broker.  All others are Faust's, on our app."""


FAUST_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "crit"}


def _load(place: str) -> click.Command:
    module, name = place.split(":")
    command: click.Command = getattr(importlib.import_module(module), name)
    return command


def _verb(arguments: list[str]) -> str | None:
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def main(arguments: list[str] | None = None) -> Any:
    """Run one verb; its exit status ends the process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = _verb(arguments)
    if verb in OWN_VERBS:
        at = arguments.index(verb)
        options = [*arguments[:at], *arguments[at + 1 :]]  # those before it are its own too
        return _load(OWN_VERBS[verb]).main(options, prog_name=f"tradeflow {verb}")

    from faust.cli.faust import cli

    for name, place in OWN_VERBS.items():
        if verb is None:  # for the list of verbs in --help
            cli.add_command(_load(place), name)
    if verb is not None and not any(argument in ("-A", "--app") for argument in arguments):
        arguments = ["-A", "tradeflow", *arguments]
    if verb == "worker" and not any(argument.startswith(("-l", "--loglevel")) for argument in arguments):
        with contextlib.suppress(SettingsError):  # bad ones are reported where the app is put together
            settings = load_settings()
            arguments = [*arguments, "-l", FAUST_LEVELS[settings.log_level]]
    return cli.main(arguments, prog_name="tradeflow")


if __name__ == "__main__":
    main()
