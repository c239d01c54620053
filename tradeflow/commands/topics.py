"""`tradeflow topics`: Kafka's topics beside what is declared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click
from aiokafka.errors import KafkaError
from rich.table import Table
from rich.text import Text

from tradeflow.cluster.cluster import KafkaCluster
from tradeflow.cluster.declared import days, differences
from tradeflow.cluster.reader import KafkaReader
from tradeflow.cluster.security import client_options
from tradeflow.commands.errors import FAILED
from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.partitions import load_maps
from tradeflow.settings import load_settings
from tradeflow.topics import topic_specs


@verb("topics", "tradeflow topics", "tradeflow topics --all --json")
@click.option("--all", "everything", is_flag=True, help="Also topics that aren't tradeflow's.")
@json_option
def topics_command(everything: bool, as_json: bool) -> None:
    """Compare Kafka's topics with what is declared.

    Partitions, retention, records (offsets that are still there) and bytes on all brokers' disks. Ends with status 1 if
    one that is declared isn't there, or has something else than it should."""
    config = load_settings()
    specs = topic_specs(load_maps(config.partition_maps))
    topics = asyncio.run(_read(client_options(config)))
    found = differences(specs, {name: topic["state"] for name, topic in topics.items()})
    declared = {spec.name: spec for spec in specs}
    ours = {name for name in topics if name.startswith(f"{config.app_id}-")} | declared.keys()
    rows = []
    for name in sorted(ours | (topics.keys() if everything else set())):
        topic, spec = topics.get(name), declared.get(name)
        state = topic["state"] if topic else None
        rows.append(
            {
                "topic": name,
                "partitions": state.partitions if state else None,
                "declared_partitions": spec.partitions if spec else None,
                "retention_ms": _retention(state.config) if state else None,
                "declared_retention_ms": spec.retention_ms if spec else None,
                "records": topic["records"] if topic else None,
                "bytes": topic["bytes"] if topic else None,
                "differences": [
                    f"{one.what} {one.value}, not {one.limit}" for one in found if one.topic == name
                ]
                + ([] if topic else ["missing"]),
            }
        )
    if as_json:
        say_json(rows)
    else:
        terminal().print(_table(rows))
    if any(row["differences"] for row in rows):
        raise SystemExit(FAILED)


async def _read(client: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    async with KafkaCluster(client) as cluster, KafkaReader(client) as reader:
        topics = await cluster.topics()
        try:
            sizes: Mapping[str, int | None] = await cluster.bytes_on_disk()
        except KafkaError:  # not everybody may see them
            sizes = {}
        partitions = await reader.partitions(topics)
        begins, ends = await reader.begins(partitions), await reader.ends(partitions)
        found: dict[str, dict[str, Any]] = {
            name: {"state": state, "records": 0, "bytes": sizes.get(name)} for name, state in topics.items()
        }
        for tp in partitions:
            found[tp.topic]["records"] += ends[tp] - begins[tp]
        return found


def _retention(config: Mapping[str, str]) -> int | None:
    """None where records are kept by key."""
    return None if config.get("cleanup.policy") == "compact" else int(config.get("retention.ms", -1))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("topic", no_wrap=True)
    for name in ("partitions", "retention", "records", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        retention = "by key" if row["retention_ms"] is None else days(str(row["retention_ms"]))
        table.add_row(
            row["topic"],
            "–" if row["partitions"] is None else str(row["partitions"]),
            "–" if row["partitions"] is None else retention,
            "–" if row["records"] is None else f"{row['records']:,}",
            "–" if row["bytes"] is None else f"{row['bytes'] / 2**20:,.1f}",
            Text("; ".join(row["differences"]), style="bold red"),
        )
    return table
