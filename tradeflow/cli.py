"""The console script `tradeflow`: `faust -A tradeflow` with verbs of our own beside Faust's."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

OWN_VERBS = {
    "demo": "tradeflow.demo.command:demo_command",
    "run": "tradeflow.demo.command:run_command",
    "kafka": "tradeflow.kafka.command:kafka_command",
    "simulate": "tradeflow.simulator.cli:simulate_command",
    "partition-map": "tradeflow.commands:partition_map_command",
    "show-config": "tradeflow.commands:show_config_command",
}
"""Verbs that need no app, so they work before there is a broker.  All others are Faust's, on our app."""


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
        return _load(OWN_VERBS[verb]).main(
            arguments[arguments.index(verb) + 1 :], prog_name=f"tradeflow {verb}"
        )

    from faust.cli.faust import cli

    for name, place in OWN_VERBS.items():
        if verb is None:  # for the list of verbs in --help
            cli.add_command(_load(place), name)
    if verb is not None and not any(argument in ("-A", "--app") for argument in arguments):
        arguments = ["-A", "tradeflow", *arguments]
    return cli.main(arguments, prog_name="tradeflow")


if __name__ == "__main__":
    main()
