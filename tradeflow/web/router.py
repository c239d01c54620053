"""`Router`: which worker owns a symbol, by the partition map and not by a key's hash."""

from __future__ import annotations

from typing import Any

from faust.app.router import Router as FaustRouter
from faust.types.core import K
from yarl import URL

from tradeflow.partitions import PartitionMap


def router_for(symbols: PartitionMap) -> type[FaustRouter]:
    """A Router class for `faust.App(Router=…)` that knows the map of symbols."""

    class Router(FaustRouter):
        def owner(self, table_name: str, partition: int) -> URL:
            """URL of the worker that owns a partition of a table; KeyError while nobody does."""
            for host, topics in self.table_metadata(table_name).items():
                if any(partition in partitions for partitions in topics.values()):
                    return URL(str(host))
            raise KeyError(partition)

        def workers(self) -> list[URL]:
            """URLs of all workers of this group that own anything."""
            hosts: set[Any] = set(self.external_topics_metadata()) | set(self.tables_metadata())
            return sorted(URL(str(host)) for host in hosts)

        def key_store(self, table_name: str, key: K) -> URL:
            return self.owner(table_name, symbols[str(key)])

    return Router
