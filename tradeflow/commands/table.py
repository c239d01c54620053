"""Every verb, by what it is for: where its command is, and the one line that `tradeflow --help` has for it.

Commands are imported when they are asked for; so the line is written here too, and a test holds both to each other."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click


class Entry(NamedTuple):
    says: str
    """At most 60 characters, for terminals of 80 columns."""
    place: str = ""
    """`module:name` of the command; empty: one of Faust's."""

    def load(self) -> click.Command:
        module, _, name = self.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


GROUPS: dict[str, dict[str, Entry]] = {
    "Run": {
        "demo": Entry(
            "Run everything here, against simulated exchanges.", "tradeflow.demo.command:demo_command"
        ),
        "run": Entry("Run everything here, on the real exchanges.", "tradeflow.demo.command:run_command"),
        "worker": Entry("Run one worker, on KAFKA_BROKERS."),
        "kafka": Entry("Run a real Kafka here, without Docker.", "tradeflow.kafka.command:kafka_command"),
        "simulate": Entry("Run the simulated exchanges.", "tradeflow.simulator.cli:simulate_command"),
    },
    "Look": {
        "watch": Entry("Show the top of each book as it changes.", "tradeflow.commands.watch:watch_command"),
        "books": Entry("List the books, or show their levels.", "tradeflow.commands.books:books_command"),
        "feeds": Entry(
            "List the feeds: state, rate, reconnects, lag.", "tradeflow.commands.feeds:feeds_command"
        ),
        "topics": Entry(
            "Compare Kafka's topics with what is declared.", "tradeflow.commands.topics:topics_command"
        ),
        "tail": Entry("Show a topic's records, decoded.", "tradeflow.commands.tail:tail_command"),
        "explain": Entry("Tell why an order was sent.", "tradeflow.commands.explain:explain_command"),
    },
    "Operate": {
        "doctor": Entry(
            "Look for what is wrong, and how to mend it.", "tradeflow.commands.doctor:doctor_command"
        ),
        "halt": Entry("Let no new order pass; cancel what is open.", "tradeflow.commands.halts:halt_command"),
        "resume": Entry("Lift a halt.", "tradeflow.commands.halts:resume_command"),
        "dead-letters": Entry(
            "List what could not be used, or send it again.",
            "tradeflow.commands.dead_letters:dead_letters_command",
        ),
        "show-config": Entry(
            "Show every setting and where it is from.", "tradeflow.commands.show_config:show_config_command"
        ),
    },
    "Strategies": {
        "strategies": Entry(
            "List what runs, or change its parameters.", "tradeflow.commands.strategies:strategies_command"
        ),
        "new-strategy": Entry(
            "Write a strategy and its test to begin with.",
            "tradeflow.commands.new_strategy:new_strategy_command",
        ),
    },
    "Recordings": {
        "record": Entry(
            "Record topics, or frames of an exchange.", "tradeflow.recording.command:record_command"
        ),
        "replay": Entry("Replay a recorded log: the same orders?", "tradeflow.replay.command:replay_command"),
        "backtest": Entry("Run strategies on a recorded log.", "tradeflow.backtest.command:backtest_command"),
    },
    "Set up": {
        "partition-map": Entry(
            "Make a partition map, or extend one.", "tradeflow.commands.partition_map:partition_map_command"
        ),
        "completion": Entry(
            "Print the completion of bash, zsh or fish.", "tradeflow.commands.completion:completion_command"
        ),
    },
    "Faust's own": {
        "agents": Entry("List the app's agents."),
        "tables": Entry("List the app's tables."),
        "send": Entry("Send a record to a topic or an agent."),
        "reset": Entry("Delete this worker's local state."),
        "clean-versions": Entry("Delete local state of the app's earlier versions."),
        "livecheck": Entry("Run Faust's LiveCheck, if the app has one."),
        "models": Entry("List the app's Faust models; tradeflow has none."),
        "model": Entry("Show a Faust model."),
    },
}

ENTRIES = {name: entry for group in GROUPS.values() for name, entry in group.items()}
OWN_VERBS = {name: entry.place for name, entry in ENTRIES.items() if entry.place}
"""Those that are not Faust's."""
